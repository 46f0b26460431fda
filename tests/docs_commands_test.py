"""Commands that README and docs print name what is there."""

import pathlib
import re
import shlex

import gin
import pytest

from tfcl import __main__ as console
from tfcl import configuration
from tfcl.configuration import parts

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_PAGES = [
    _ROOT / "README.md",
    _ROOT / "CONTRIBUTING.md",
    *sorted((_ROOT / "docs").glob("*.md")),
]
_COMMAND = re.compile(r"(?:^|\s)(?:python -m tfcl\.|tfcl )(\w+)((?: .*)?)$")
_NAMED = ("stream", "method", "network")


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    gin.clear_config()


def _commands():
    """`(page, command, words)` of each command in a block of code."""
    for page in _PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in text.splitlines():
            found = _COMMAND.search(line)
            if line.startswith("    ") and found:
                words = found[2].partition(" # ")[0].partition("     #")[0]
                yield page.name, found[1], words


def _trained():
    """Those that learn a run which they name in full, by files of tfcl."""
    own = r"--gin_file=my_|--method=heads_only"  # Files of the reader.
    return [
        (page, words)
        for page, command, words in _commands()
        if command == "train"
        and not re.search(rf"\.\.\.|<|\[--|--list|--help|{own}", words)
    ]


def test_there_are_commands():
    assert len(list(_commands())) > 40 and len(_trained()) > 15


def test_commands_exist():
    for page, command, _ in _commands():
        assert command in (*console._COMMANDS, "COMMAND"), (page, command)


@pytest.mark.parametrize(("page", "words"), _trained())
def test_a_run_is_put_together_from_what_is_there(page, words):
    flags = {}
    for word in shlex.split(words):
        name, _, value = word.removeprefix("--").partition("=")
        flags.setdefault(name, []).append(value)
    named = {name: flags[name][0] for name in _NAMED if name in flags}
    files = parts.files(flags.get("gin_file", []), **named)
    configuration.load(files, flags.get("gin_bindings", []))
    assert "Experiment.method" in configuration.bindings()
