"""What there is to choose from, a sentence each."""

import itertools
import pathlib
import re

from tfcl.configuration import parts

_END = re.compile(r"\. +(?=[A-Z])|: --gin_bindings")  # Of a sentence.


def listing() -> str:
    """Methods, streams, networks and published rows, a sentence each."""
    rows = [
        (path.relative_to(parts.ROOT).as_posix(), sentence(path))
        for path in sorted(parts.FOLDER.glob("*.gin"))
        if path.name != "base.gin"
    ]
    blocks = [
        (f"{kind.capitalize()}: {parts.flag(kind)}=NAME", _of(kind))
        for kind in (parts.METHODS, parts.STREAMS, parts.NETWORKS)
    ]
    lines = []
    for title, found in [*blocks, ("Published rows: --gin_file=PATH", rows)]:
        width = max(len(name) for name, _ in found)
        lines += [title, *(f"  {n:<{width}}  {said}" for n, said in found), ""]
    lines += ["In brackets is what goes together, by scenario:"]
    width = max(map(len, parts.IS))
    lines += [f"  {f'[{n}]':<{width + 2}}  {parts.IS[n]}" for n in parts.IS]
    return "\n".join([*lines, ""])


def _of(kind) -> list[tuple[str, str]]:
    """Names and sentences, with the scenarios where there are some."""
    said = {
        parts.STREAMS: lambda name: [parts.scenario_of(name)],
        parts.METHODS: parts.scenarios_of,
    }
    found = []
    for name in parts.names(kind):
        text = sentence(parts.FOLDER / kind / f"{name}.gin")
        if kind in said:
            text += f" [{', '.join(said[kind](name))}]"
        found.append((name, text))
    return found


def sentence(path: pathlib.Path) -> str:
    """The first sentence of the comment that a gin file begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = itertools.takewhile(lambda line: line.startswith("#"), lines)
    text = " ".join(line.removeprefix("#").strip() for line in comment)
    return _END.split(text, maxsplit=1)[0].rstrip(".") + "."
