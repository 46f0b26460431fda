"""What is said of a mistake: mistakes.txt."""

import os
import pathlib
import re

import gin
import pytest

from tests.configuration.probes import ProbeMethod, places, says, write
from tfcl import configuration
from tfcl.errors import RunError, UserError

_FILE = pathlib.Path(__file__).with_name("mistakes.txt")
# Comments, lines, perhaps a call, the message.
_CASE = r"(?:#[^\n]*\n+)*(.+?)\n(?:(\w+)\(\) )?=> ([^\n]*)\n+"
_CASES = re.findall(_CASE, _FILE.read_text(), re.DOTALL)


@pytest.fixture(autouse=True)
def _files(monkeypatch):
    write("runs/first.gin", "")
    write("gin/methods/probe.gin", "")
    write("circle.gin", "include 'a.gin'")
    write("wrong.gin", "\nProbeMethod.epoch = 1\n")
    pathlib.Path("binary.gin").write_bytes(b"\xff\xfe\x00")
    write("probe_broken.py", "import probe_not_there\n")
    write("probe_wrong.py", "1 / 0\n")
    monkeypatch.syspath_prepend(os.getcwd())


@pytest.mark.parametrize(("lines", "call", "said"), _CASES)
def test_a_mistake_is_one_line_with_its_place(lines, call, said):
    write("a.gin", f"\n{lines}\n")
    assert says(_message(["a.gin"], [], call), said)
    if "\n" not in lines:
        said = said.replace("a.gin:2:", "--gin_bindings #2:", 1)
        assert says(_message([], ["N_ = 1", lines], call), said)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("runs/frist.gin", "does not exist. Did you mean 'runs/first.gin'?"),
        ("runs", "is a folder. ..."),
    ],
)
def test_a_file_of_the_command_line_is_placed_there(path, said):
    message = _message([write("a.gin", ""), path], [])
    assert says(message, f"--gin_file #2: gin file '{path}' {said}")


def test_an_argument_that_gin_did_not_set_has_no_place():
    with pytest.raises(ValueError) as caught:
        ProbeMethod(-1.0)
    said = "`ProbeMethod.learning_rate` (not set in gin): Argument ..."
    assert says(str(configuration.explain(caught.value)), said)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("One\n  two."), UserError),  # Gin had no part in it.
        (RunError("One\n  two."), RunError),  # The input is not to blame.
    ],
)
def test_an_error_keeps_its_words_and_its_exit_code(error, kind):
    found = configuration.explain(error)
    assert type(found) is kind and str(found) == "One two."


def _message(files, bindings, call=""):
    """What a user reads after files and bindings, and perhaps a call."""
    if not call:
        with pytest.raises(UserError) as caught:
            configuration.load(files, bindings)
        assert not gin.config_str() and not places()
        return str(caught.value)
    configuration.load(files, bindings)
    with pytest.raises(Exception) as caught:
        gin.get_configurable(call)()
    found = configuration.explain(caught.value)
    assert type(found) is UserError
    return str(found)
