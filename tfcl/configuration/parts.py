"""What the files of `gin/` mean when a run is put together from them.

A run is a stream and a method, perhaps with a network. So that any two files
go together, in either order, what they say of one thing is settled by kind:

1. `gin/base.gin` gives way to all others. What a file of `gin/streams` says of
   network and training is an offer: it gives way to files of `gin/methods` and
   `gin/training`, and these give way to every other line. Among lines of one
   rank the later wins, as everywhere in gin. `Experiment` and the data
   (`tfcl.data.streams`) know no ranks: there the later line wins.
2. If a method's file binds anything of, say, `TaskTraining`, what the stream
   includes from `gin/training` for `TaskTraining` is void as a whole: two
   protocols are not mixed. So it is with `gin/transfers`.
3. A line of these files that no value of the run refers to is left out. A
   user's own lines are not: `check_all_used` reports those without effect.
"""

import collections
import itertools
import os
import pathlib
from collections.abc import Iterator, Sequence

from tfcl.configuration import checks
from tfcl.configuration.binding import MACRO, Binding, Part
from tfcl.configuration.gin_internals import configurables
from tfcl.configuration.messages import fail, nearest
from tfcl.configuration.values import Macro, names_in
from tfcl.errors import UserError

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
# The gin files are beside the package in a checkout, and inside of it as
# installed. Paths in them begin with "gin/".
ROOT = _PACKAGE if (_PACKAGE / "gin").is_dir() else _PACKAGE.parent
FOLDER = ROOT / "gin"
STREAMS, METHODS, NETWORKS = "streams", "methods", "networks"
BASE, _TRAINING, _TRANSFERS = "base", "training", "transfers"
_KINDS = (
    *(STREAMS, METHODS, NETWORKS, _TRAINING, _TRANSFERS),
    *("augmentation", "data", "schedules"),
)
_RANKS = {BASE: 0, STREAMS: 1, METHODS: 2, _TRAINING: 2}
_OWN = 3  # Rank of all other lines.
_RUN = "tfcl.engine.experiment.Experiment"
_DATA = ("tfcl.data.streams.", "tfcl.data.scenarios.")
# A stream's file says what it is, a method's file what it can learn.
_SCENARIO, _SCENARIOS = "SCENARIO", "SCENARIOS"
_SHOWN = 8  # Streams that a message names.
_PRETRAINED = "PRETRAINED_BACKBONE"  # A network that comes with weights.
_CHOSEN = "Experiment.scenario"
# What it is, and what is known of a test image: the scenarios of
# `tfcl.data.scenario`, and tasks that are measured in a way of their own.
IS = {
    "task": "tasks that are known by name, learned in epochs, also at test",
    "domain": "tasks of the same classes, not known at test",
    "class": "tasks that bring classes to one set of answers, not known at "
    "test",
    "faces": "tasks on faces, one of them measured by pairs, known at test",
    "online": "one stream that is seen once, without tasks at test",
}
# Those that a run may choose.
SCENARIOS = tuple(word for word in IS if word != "faces")
# What a stream can be seen as, by `tfcl.data.scenarios.in_scenario`.
_SEEN_AS = {
    "task": ("task", "domain", "class", "online"),
    "domain": ("task", "domain", "class", "online"),
}


def part_of(path: str) -> Part | None:
    """The part that a file is, None for published rows and users' files."""
    real = pathlib.Path(os.path.realpath(path))
    if not real.is_relative_to(FOLDER):
        return None
    *folders, name = real.relative_to(FOLDER).parts
    shown = real.relative_to(ROOT).as_posix()
    if len(folders) == 1 and folders[0] in _KINDS:
        return Part(folders[0], shown)
    return Part(BASE, shown) if not folders and name == "base.gin" else None


def path_of(kind: str, name: str, place: str) -> str:
    """The gin file of a stream, method or network.

    Args:
        kind: `STREAMS`, `METHODS` or `NETWORKS`.
        name: Of its file, without folder and ending.
        place: What a message begins with, such as "--stream".

    Raises:
        UserError: If there is none: one line with the nearest names.
    """
    known = names(kind)
    if name not in known:
        listing = "All of them: python -m tfcl.train --list"
        advice = nearest(name, known, "Known are")
        problem = f"no {kind.removesuffix('s')} is called '{name}'."
        raise fail(place, f"{problem} {advice} {listing}.")
    return f"gin/{kind}/{name}.gin"


def files(
    gin_files: Sequence[str],
    stream: str | None = None,
    method: str | None = None,
    network: str | None = None,
) -> list[str]:
    """The gin files of a run, in the order to be read.

    Args:
        gin_files: Further files. A published row stands before the named
            parts, which replace its own; other files come after them.
        stream, method, network: Names, None for those not given.

    Raises:
        UserError: If a name is unknown, or there is no run: one line.
    """
    asked = {STREAMS: stream, METHODS: method, NETWORKS: network}
    named = [
        path_of(kind, name, flag(kind))
        for kind, name in asked.items()
        if name is not None
    ]
    if not gin_files and None in (stream, method):
        missing = [flag(k) for k in (STREAMS, METHODS) if asked[k] is None]
        raise UserError(
            "a run is a stream and a method, such as --stream=digits_5 "
            f"--method=lasem, or a --gin_file. Missing: {' and '.join(missing)}"
            ". What there is: python -m tfcl.train --list."
        )
    rows = [*itertools.takewhile(_is_row, gin_files)]
    return [*rows, *named, *gin_files[len(rows) :]]


def flag(kind):
    return f"--{kind.removesuffix('s')}"


def _is_row(path):
    folders = pathlib.PurePath(path).parts
    return folders[-2:-1] == ("gin",) and folders[-1] != "base.gin"


def names(kind: str) -> list[str]:
    """Names of all streams, methods or networks, sorted."""
    return sorted(path.stem for path in (FOLDER / kind).glob("*.gin"))


def standing(bindings: Sequence[Binding]) -> list[Binding]:
    """Which of all bindings hold, settled by kind and order; see above.

    Args:
        bindings: In the order read, with `key`, `value`, `place` and `within`,
            the `Part`s that the line was read in, outermost first.

    Raises:
        UserError: If stream and method do not fit, or a file that was asked
            for has no effect: one line.
    """
    own = {
        each.key[1]
        for each in bindings
        if _kind(each) in (METHODS, _TRAINING) and each.key[1] != MACRO
    }
    winning = {}
    for each in bindings:
        rank = _rank(each)
        if rank == _RANKS[STREAMS] and each.key[1] in own:
            if each.within[-1].kind in (_TRAINING, _TRANSFERS):
                continue
        if rank >= winning.get(each.key, (0, None))[0]:
            winning[each.key] = (rank, each)
    winners = [each for _, each in winning.values()]
    if not any(each.key[1] == _RUN for each in winners):
        return winners  # No run: a file to be looked at.
    reached = _Reached(winners)
    macros = {each.key[0]: each for each in winners if each.key[1] == MACRO}
    _check_scenario(macros, winners)
    _check_pretrained(macros, reached)
    kept = [b for b in winners if not b.within or reached.by(b)]
    _refuse_idle(bindings, winners, kept)
    return kept


def _kind(binding):
    """Of the outermost part that a line stands in, None for other lines."""
    if not binding.within:
        return None
    # Whoever includes the base, its lines give way.
    outermost, innermost = binding.within[0].kind, binding.within[-1].kind
    return BASE if innermost == BASE else outermost


def _rank(binding):
    _, selector, _ = binding.key
    kind = _kind(binding)
    if selector == _RUN or (selector.startswith(_DATA) and kind != BASE):
        return _OWN
    return _RANKS.get(kind, _OWN)


def _check_scenario(macros, winners):
    stream, method = macros.get(_SCENARIO), macros.get(_SCENARIOS)
    if not (stream and method):
        return
    learned = _known_words(method, method.value)
    (own,) = _known_words(stream, (stream.value,))
    wanted, asking = own, stream
    for each in winners:
        if each.label == _CHOSEN and each.value in IS:
            wanted, asking = each.value, each
    if wanted != own and wanted not in _SEEN_AS.get(own, ()):
        raise UserError(
            f"{_shown(stream)} is {IS[own]}: it cannot be seen in the "
            f"scenario '{wanted}'. Leave {_CHOSEN} out, or take a stream of "
            "known tasks."
        )
    if wanted in learned:
        return
    learns = "; or ".join(IS[each] for each in learned)
    fitting = [name for name in names(STREAMS) if scenario_of(name) in learned]
    others = [name for name in names(METHODS) if wanted in scenarios_of(name)]
    ways = [each for each in _SEEN_AS.get(own, ()) if each in learned]
    advice = f" It can be one: --scenario={ways[0]}." if ways else ""
    raise UserError(
        f"{_shown(method)} learns {learns}. {_shown(asking)} is another kind: "
        f"{IS[wanted]}.{advice} Methods for this stream: {_some(others)}. "
        f"Streams for this method: {_some(fitting)}."
    )


def _known_words(binding, words):
    unknown = [word for word in words if word not in IS]
    if unknown:
        raise UserError(
            f"{_shown(binding)} names the scenario {unknown[0]!r}. There are: "
            f"{', '.join(IS)}."
        )
    return words


def _some(listed):
    rest = len(listed) - _SHOWN
    more = f" and {rest} more (--list)" if rest > 0 else ""
    return f"{', '.join(listed[:_SHOWN])}{more}"


def _check_pretrained(macros, reached):
    asked = reached.has_macro(_PRETRAINED)
    if not asked or _PRETRAINED in macros or _SCENARIOS not in macros:
        return
    stream = macros.get(_SCENARIO)
    which = _shown(stream) if stream else "the stream"
    having = [
        name
        for name in names(NETWORKS)
        if f"{_PRETRAINED} = " in _text(NETWORKS, name)
    ]
    raise UserError(
        f"{_shown(macros[_SCENARIOS])} learns on a network that is trained "
        f"already, {which} brings none. Name one: --network={having[0]}, or "
        f"{', '.join(having[1:])}."
    )


def _text(kind, name):
    return (FOLDER / kind / f"{name}.gin").read_text(encoding="utf-8")


def _shown(binding):
    return binding.within[0].path if binding.within else binding.place


def scenario_of(stream: str) -> str:
    """What a stream's file, or the one that it includes, says it is."""
    (found,) = _said(STREAMS, stream, _SCENARIO)
    return found


def scenarios_of(method: str) -> list[str]:
    """What a method's file, or the one that it includes, says it learns."""
    return _said(METHODS, method, _SCENARIOS)


def _said(kind, name, macro):
    """The words of a macro in a file, else in the files that it includes."""
    found: list[str] = []
    include = f'include "gin/{kind}/'
    for line in _text(kind, name).splitlines():
        if line.startswith(include):
            stem = line.removeprefix(include).partition(".gin")[0]
            found = _said(kind, stem, macro)
        if line.startswith(f"{macro} = "):
            found = line.split('"')[1::2]
    return found


class _Reached:
    """What can be called or read in a run that starts at `Experiment`."""

    def __init__(self, winners):
        self._by_name = collections.defaultdict(list)
        for each in winners:
            scope, selector, _ = each.key
            name = scope if selector == MACRO else selector
            self._by_name[selector == MACRO, name].append(each)
        self._names, self._scopes = set(), {""}
        self._follow((False, _RUN))

    def by(self, binding) -> bool:
        """Whether the line of a binding may have an effect."""
        scope, selector, _ = binding.key
        if selector == MACRO:
            return (True, scope) in self._names
        return (False, selector) in self._names and scope in self._scopes

    def has_macro(self, name: str) -> bool:
        """Whether a value refers to `%name`, defined or not."""
        return (True, name) in self._names

    def _follow(self, start):
        waiting = [start]
        while waiting:
            name = waiting.pop()
            if name in self._names:
                continue
            self._names.add(name)
            for binding in self._by_name.get(name, ()):
                waiting += self._named_in(binding.value)
            if not name[0]:
                waiting += [(False, each) for each in _called_by(name[1])]

    def _named_in(self, value) -> Iterator[tuple[bool, str]]:
        for each in names_in(value):
            if isinstance(each, Macro):
                yield True, each.name
                continue
            scope, _, name = each.name.rpartition("/")
            # `a/b/X` reads what is bound for `a/X`, too.
            words = scope.split("/") if scope else []
            for n in range(len(words) + 1):
                self._scopes.add("/".join(words[:n]))
            for entry in configurables(name):
                yield False, entry.selector


def _called_by(selector) -> Iterator[str]:
    """Configurables that one reaches without a line in a file.

    They are its base classes, those among its default values, and what it
    makes of `**options`.
    """
    for entry in configurables(selector):
        options = checks.options_of(entry)
        if options:
            yield options.selector
        known, _ = checks.parameters(entry)
        defaults = [each.default for each in known.values()]
        bases = getattr(entry.wrapped, "__mro__", ())[1:]
        for each in (*bases, *defaults):
            name = getattr(each, "__name__", "")
            if callable(each) and name.isidentifier():
                for other in configurables(name):
                    yield other.selector


def _refuse_idle(bindings, winners, kept):
    """A file that the user asked for, and nothing of which has an effect."""
    used = {id(each) for each in kept}
    held = {id(each) for each in winners}
    by_part = collections.defaultdict(list)
    for each in bindings:
        if each.within:
            by_part[each.within[0]].append(each)
    for part, lines in by_part.items():
        if all(id(b) in held and id(b) not in used for b in lines):
            named = ", ".join(sorted({b.label for b in lines})[:4])
            raise UserError(
                f"{part.path} has no effect: stream and method of this run do "
                f"not ask for {named}. Leave it out, or choose another method."
            )
