"""Names and files that do not exist are refused, with those that do."""

import os

import gin
import pytest

from tests.configuration.probes import refused, says, write
from tfcl import configuration
from tfcl.configuration.gin_internals import search_path
from tfcl.errors import UserError

_UNKNOWN = "nothing configurable is called `{}`. Did you mean 'ProbeMethod'?..."


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("ProbeMetod.epochs = 1", _UNKNOWN.format("ProbeMetod")),
        ("probemethod.epochs = 1", _UNKNOWN.format("probemethod")),
        ("PROBEMETHOD.epochs = 1", _UNKNOWN.format("PROBEMETHOD")),
        # Of a block, at the block.
        ("ProbeMetod:\n    epochs = 1", _UNKNOWN.format("ProbeMetod")),
        (
            "probe_experiment.stream = [\n    (1, @warm/ProbeMetod())]",
            _UNKNOWN.format("@warm/ProbeMetod()"),
        ),
        (
            "warm/ProbeMethod.learning_rat = 1.0",
            "`ProbeMethod` has no parameter `learning_rat`. Did you mean "
            "'learning_rate'? Its parameters: epochs, learning_rate, tag.",
        ),
        (
            "probe_stream.seed = 1",
            "`probe_stream.seed` is given by the program. ..."
            "anything, limit, mode...",
        ),
        # Outside the allowlist, though there is a `**`.
        ("probe_open.b = 1", "`probe_open` has no parameter `b`..."),
    ],
)
def test_an_unknown_name_is_placed_with_the_nearest(line, wanted):
    assert says(refused(text=f"\n{line}\n"), f"a.gin:2: {wanted}")
    if "\n" not in line:
        assert says(refused("N=1", line), f"--gin_bindings #2: {wanted}")


def test_a_parameter_on_the_allowlist_can_be_bound():
    configuration.load([], ["probe_open.a = 1"])


def test_an_ambiguous_name_is_refused_with_the_full_names():
    for module in ("one", "two"):
        gin.configurable("ProbeTwice", module=f"probe.{module}")(lambda a=1: a)
    message = refused("ProbeTwice.a = 1")
    assert "probe.one.ProbeTwice, probe.two.ProbeTwice" in message
    configuration.load([], ["two.ProbeTwice.a = 2"])
    assert configuration.bindings() == {"two.ProbeTwice.a": "2"}


# Files.

_BESIDE = "Did you mean 'gin/methods/probe.gin'?"


@pytest.mark.parametrize(
    ("path", "problem", "advice"),
    [
        ("runs/frist.gin", "does not exist", "Did you mean 'runs/first.gin'?"),
        ("gin/methods/prob.gin", "does not exist", _BESIDE),
        ("probe.gin", "does not exist", _BESIDE),  # In the wrong folder.
        ("gin/methods", "is a folder", "..."),
    ],
)
def test_a_missing_file_is_named_with_similar_ones(path, problem, advice):
    write("gin/methods/probe.gin", "")
    write("runs/first.gin", "")
    wanted = f": gin file '{path}' {problem}. {advice}"
    assert says(refused(text=f"\n\ninclude '{path}'\n"), f"a.gin:3{wanted}")
    with pytest.raises(UserError) as caught:
        configuration.load([path], [])
    assert says(str(caught.value), f"--gin_file #1{wanted}")


def test_a_mistake_in_an_include_is_placed_there():
    write("b.gin", "\nProbeMethod.epoch = 1\n")
    assert says(refused(text="include 'b.gin'"), "b.gin:2: ...")


def test_a_file_that_includes_itself_is_refused():
    write("b.gin", "include 'a.gin'")
    message = refused(text="\ninclude 'b.gin'")
    assert message == "b.gin:1: 'a.gin' includes itself."


def test_a_file_that_is_not_text_is_refused():
    with open("b.gin", "wb") as file:
        file.write(b"\xff\xfe\x00")
    message = refused(text="include 'b.gin'")
    assert says(message, "a.gin:1: cannot read 'b.gin': ...")


def test_files_are_found_from_the_repository_root():
    for _ in range(2):
        configuration.load(["gin/base.gin"], [])
        places = configuration.locations().values()
        assert places
        assert all(os.path.isfile(each.rpartition(":")[0]) for each in places)
    prefixes = search_path()
    assert len(set(prefixes)) == len(prefixes)  # It does not grow.


# Imports.


@pytest.mark.parametrize(
    "line, said",
    [
        ("import tfcl.engine.observr", "Did you mean 'observer'?"),
        ("import tfc.engine", "Did you mean 'tfcl'?"),
        ("from tfcl.engine import observr", "Did you mean 'observer'?"),
        ("import tfcl.errors.more", "ModuleNotFoundError"),
        ("import probe_broken", "Install what provides 'probe_not_there'."),
        ("import probe_wrong", "ZeroDivisionError"),
    ],
)
def test_an_import_that_fails_is_placed(line, said, monkeypatch):
    write("probe_broken.py", "import probe_not_there\n")
    write("probe_wrong.py", "1 / 0\n")
    monkeypatch.syspath_prepend(os.getcwd())
    message = refused(text=f"\n{line}\n")
    assert says(message, f"a.gin:2: `{line}` failed: ...{said}...")
