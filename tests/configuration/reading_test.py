"""Every mistake in a configuration is one line with its place."""

import os

import gin
import pytest

from tests.configuration.probes import (
    ProbeMethod,
    places,
    probe_experiment,
    probe_stream,
    write,
)
from tfcl import configuration
from tfcl.configuration.gin_internals import search_path
from tfcl.errors import UserError


def test_good_configuration_loads_and_its_text_reloads_to_the_same():
    write(
        "parts/base.gin",
        "LR = 0.25\nHOW = @probe_stream\nprobe_stream.names = ['x', 'y']\n",
    )
    write(
        "a.gin",
        """
include "parts/base.gin"
import email.mime.text
# Größe
ProbeMethod.learning_rate = %LR
ProbeMethod.tag = 'a  text that is quite long, so long that gin breaks ' \\
    'it over several lines when it is written back into a file é'
warm/ProbeMethod:
    epochs = 3
probe_stream.anything = {'b': (1, -2.5, None), 'a': [%LR, @ProbeMethod()]}
probe_experiment:
    method = @warm/ProbeMethod()
    stream = %HOW
""",
    )
    configuration.load(["a.gin"], ["probe_stream.shape = (2, 3)"])
    method, stream = probe_experiment()
    assert method.values[:2] == (0.25, 3)
    assert stream()[1] == (2, 3)
    first, text = configuration.bindings(), configuration.asked()
    assert first["ProbeMethod.learning_rate"] == "0.25"
    assert first["warm/ProbeMethod.epochs"] == "3"
    assert first["probe_experiment.stream"] == "@probe_stream"
    assert "import email.mime.text" in text
    configuration.load([write("saved.gin", text)], [])
    assert configuration.bindings() == first
    assert configuration.asked() == text
    assert configuration.parse_bindings(text) == first
    assert probe_experiment()[0].values == method.values


def test_an_include_begins_beside_its_file(tmp_path):
    write("parts/near.gin", "ProbeMethod.epochs = 2\n")
    write("near.gin", "ProbeMethod.epochs = 3\n")
    write("parts/a.gin", "include 'near.gin'\n")
    configuration.load(["parts/a.gin"], [])
    assert ProbeMethod().values[1] == 2
    configuration.load([str(tmp_path / "parts/a.gin")], [])
    assert ProbeMethod().values[1] == 2
    # Else in the working folder.
    write("parts/a.gin", "include 'parts/near.gin'\ninclude 'b.gin'\n")
    write("b.gin", "ProbeMethod.tag = 'b'\n")
    configuration.load(["parts/a.gin"], [])
    assert ProbeMethod().values[1] == 2


def test_a_later_line_wins_and_keeps_its_place():
    write("b.gin", "ProbeMethod.epochs = 2\n")
    write("a.gin", "include 'b.gin'\n\nProbeMethod.epochs = 3\n")
    key = ("", f"{ProbeMethod.__module__}.ProbeMethod", "epochs")
    configuration.load(["a.gin"], [])
    assert places() == {key: "a.gin:3"}
    assert ProbeMethod().values[1] == 3
    configuration.load(["b.gin"], ["X=1", "ProbeMethod.epochs=5"])
    assert places()[key] == "--gin_bindings #2"
    assert places()[("X", "gin.macro", "value")]
    assert ProbeMethod().values[1] == 5


def test_loading_again_forgets_what_was_loaded_before():
    configuration.load([], ["ProbeMethod.epochs = 2"])
    ProbeMethod()
    configuration.load([], ["ProbeMethod.learning_rate = 0.5"])
    assert configuration.bindings() == {"ProbeMethod.learning_rate": "0.5"}
    assert configuration.used() == ""
    assert "epochs" not in str(places())


def test_files_are_found_from_the_repository_root():
    for _ in range(2):
        configuration.load(["gin/base.gin"], [])
        read = places().values()
        assert read
        assert all(os.path.isfile(each.rpartition(":")[0]) for each in read)
    prefixes = search_path()
    assert len(set(prefixes)) == len(prefixes)  # It does not grow.


def test_nothing_to_load_is_an_empty_configuration():
    configuration.load([write("a.gin", "")], ["# only a comment"])
    assert configuration.bindings() == {}
    configuration.check_all_used()


# Macros.


def test_a_macro_may_be_defined_after_its_use():
    configuration.load([], ["ProbeMethod.epochs = %N", "N = 3"])
    assert ProbeMethod().values[1] == 3
    configuration.check_all_used()


def test_a_macro_may_be_called_like_a_configurable():
    configuration.load(
        [],
        ["ProbeMethod = @ProbeMethod()", "probe_stream.anything=%ProbeMethod"],
    )
    assert isinstance(probe_stream()[-1], ProbeMethod)


def test_a_required_value_may_be_set_later():
    write("a.gin", "TASKS = %gin.REQUIRED\nProbeMethod.tag = %TASKS")
    configuration.load(["a.gin"], ["TASKS = 3"])
    assert configuration.bindings() == {"ProbeMethod.tag": "3"}


def test_values_of_the_right_type_are_accepted():
    configuration.load(
        [],
        [
            "ProbeMethod.learning_rate = 1",
            "ProbeMethod.tag = [1]",
            "probe_stream.shape = ()",
            "probe_stream.names = ('a', 'b')",
            "probe_stream.mode = 'b'",
            "probe_stream.limit = None",
            "probe_stream.sizes = {'a': 1}",
            "probe_stream.transform = @ProbeMethod",
            "probe_stream.anything = b'bytes'",
            "probe_needs.other = 'unknown annotation'",
            "probe_needs.value = 3",
            "ProbeChecked.rate = None",
            "low/ProbeChecked.rate = 1",
            "N = 2",
            "warm/probe_stream.shape = (1, %N)",
            "cold/probe_stream.shape = @ProbeMethod()",
            "hot/probe_stream.shape = (1, @ProbeMethod())",
            "probe_open.a = 1",
            "ProbeAnything.whatever = 1",  # Nobody says whose it is.
        ],
    )


def test_an_ambiguous_name_may_be_given_longer():
    configuration.load([], ["two.ProbeTwice.a = 2"])
    assert configuration.bindings() == {"two.ProbeTwice.a": "2"}


# Use.


def test_everything_used_is_accepted():
    configuration.load(
        [],
        [
            "A = 0.5",
            "B = [%A]",
            "ProbeMethod.learning_rate = %A",
            "probe_stream.anything = %B",
            "probe_experiment.method = @warm/ProbeMethod()",
            "warm/ProbeMethod.epochs = 2",
            "probe_experiment.stream = @probe_stream",
        ],
    )
    probe_experiment()[1]()
    configuration.check_all_used()


def test_bindings_never_called_are_refused_in_one_line():
    text = "ProbeMethod.epochs = 2\n\nprobe_stream.limit = 4\nN = 3\n"
    configuration.load([write("a.gin", text)], ["hot/ProbeMethod.tag = 'x'"])
    ProbeMethod()
    assert _unused() == (
        "a.gin:3: `probe_stream.limit` has no effect: `probe_stream` was "
        "never called; a.gin:4: `N` has no effect: nothing that was used "
        "refers to it; --gin_bindings #1: `hot/ProbeMethod.tag` has no "
        "effect: `hot/ProbeMethod` was never called. "
        "Remove what is not needed."
    )


def test_a_binding_overridden_by_the_caller_is_refused():
    configuration.load([], ["ProbeMethod.epochs = 2", "ProbeMethod.tag = 'a'"])
    ProbeMethod(epochs=3)
    message = _unused()
    assert "`ProbeMethod.epochs` has no effect: the program gives" in message
    assert "tag" not in message
    ProbeMethod()  # One call that takes it is enough.
    configuration.check_all_used()


def test_a_binding_hidden_by_that_of_a_scope_is_refused():
    configuration.load(
        [], ["ProbeMethod.epochs = 2", "low/ProbeMethod.epochs = 3"]
    )
    with gin.config_scope("low"):
        ProbeMethod()
    message = _unused()
    assert message.startswith("--gin_bindings #1: `ProbeMethod.epochs`")
    assert "a binding with a scope takes its place" in message


def test_a_macro_of_an_unused_binding_is_unused():
    configuration.load([], ["N = 2", "probe_stream.limit = %N"])
    ProbeMethod()
    assert "--gin_bindings #1: `N`" in _unused()


def _unused():
    """Returns the message that unused bindings are refused with."""
    with pytest.raises(UserError) as caught:
        configuration.check_all_used()
    assert "\n" not in str(caught.value)
    return str(caught.value)
