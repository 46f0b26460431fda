"""Errors of what gin calls are placed at the binding of their argument."""

import functools

import pytest

from tests.configuration.probes import (
    ProbeMethod,
    ProbeStrict,
    probe_experiment,
    probe_fails,
    probe_needs,
    says,
    write,
)
from tfcl import configuration
from tfcl.errors import RunError, UserError

_NEGATIVE = "Argument `learning_rate` must be positive. Received: "


@pytest.mark.parametrize(
    ("call", "lines", "wanted"),
    [
        (
            ProbeMethod,
            ["# c", "ProbeMethod.learning_rate = -1"],
            f"a.gin:2: `ProbeMethod.learning_rate`: {_NEGATIVE}"
            "learning_rate=-1",
        ),
        # Of a constructor that is referred to.
        (
            probe_experiment,
            [
                "probe_experiment.method = @low/ProbeMethod()",
                "ProbeMethod.learning_rate = 1",
                "low/ProbeMethod.learning_rate = -1",
            ],
            "a.gin:3: `low/ProbeMethod.learning_rate`: ...",
        ),
        # In a scope, the binding of an outer one.
        (
            probe_experiment,
            [
                "probe_experiment.method = @low/deep/ProbeMethod()",
                "low/ProbeMethod.learning_rate = -1",
            ],
            "a.gin:2: `low/ProbeMethod.learning_rate`: ...",
        ),
        # The place of the macro, too.
        (
            ProbeMethod,
            ["LR = -1", "ProbeMethod.learning_rate = %LR"],
            "a.gin:2: `ProbeMethod.learning_rate` (%LR is set at a.gin:1): ...",
        ),
        # The first bound argument that a TypeError names.
        (
            ProbeStrict,
            ["", "ProbeStrict.rate = 0.25"],
            "a.gin:2: `ProbeStrict.rate`: `scale` does not...",
        ),
    ],
)
def test_an_error_is_placed_at_the_binding_of_its_argument(call, lines, wanted):
    assert says(_explained(call, *lines), wanted)


@pytest.mark.parametrize(
    ("call", "lines", "wanted"),
    [
        # An argument that gin did not set.
        (
            functools.partial(ProbeMethod, -1.0),
            [],
            f"`ProbeMethod.learning_rate` (not set in gin): {_NEGATIVE}...",
        ),
        # No argument: the configurable.
        (
            ProbeMethod,
            ["ProbeMethod.epochs = 0"],
            "`ProbeMethod`: Too few passes over the data.",
        ),
        # No value.
        (
            probe_experiment,
            [],
            "`probe_experiment.method` has no value. Set it in a gin file or "
            "by --gin_bindings='probe_experiment.method=...'.",
        ),
        (
            probe_needs,
            ["probe_needs.size = 3"],
            "`probe_needs.value` has no value. ...",
        ),
        # Words that were meant for the user stay.
        (probe_fails, ["probe_fails.size = 3"], "The data set is missing."),
    ],
)
def test_an_error_without_a_bound_argument_has_no_place(call, lines, wanted):
    assert says(_explained(call, *lines), wanted)


def test_an_error_that_gin_had_no_part_in_is_one_line():
    found = configuration.explain(ValueError("One\n  two."))
    assert type(found) is UserError and str(found) == "One two."


def test_the_end_of_a_run_is_not_blamed_on_the_input():
    found = configuration.explain(RunError("Out\nof memory."))
    assert type(found) is RunError and str(found) == "Out of memory."


def _explained(call, *lines):
    text = "".join(f"{line}\n" for line in lines)
    configuration.load([write("a.gin", text)], [])
    with pytest.raises((ValueError, TypeError, RuntimeError, UserError)) as it:
        call()
    found = configuration.explain(it.value)
    assert type(found) is UserError and "\n" not in str(found)
    return str(found)
