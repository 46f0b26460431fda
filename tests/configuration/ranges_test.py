"""Ranges of values that a search tries."""

import optuna
import pytest

from tfcl.configuration.ranges import grid_of, parse_range
from tfcl.errors import UserError


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a.b=1:5", optuna.distributions.IntDistribution(1, 5)),
        (
            "a.b = 0 : 10 : 5",
            optuna.distributions.IntDistribution(0, 10, step=5),
        ),
        ("A=0.1:0.5", optuna.distributions.FloatDistribution(0.1, 0.5)),
        (
            "A=0:0.5:0.1",
            optuna.distributions.FloatDistribution(0, 0.5, step=0.1),
        ),
        (
            "A=1e-3:1:log",
            optuna.distributions.FloatDistribution(1e-3, 1, log=True),
        ),
        (
            "A=True|False",
            optuna.distributions.CategoricalDistribution(["True", "False"]),
        ),
    ],
)
def test_ranges(text, wanted):
    name, found = parse_range(text)
    assert name in ("a.b", "A") and found == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        "a.b=",
        "a.b=3",
        "a.b=5:1",
        "a.b=1:2:3:4",
        "a=x:y",
        "a=0:1:log",
    ],
)
def test_what_is_no_range_is_refused(text):
    with pytest.raises(UserError, match="--range .* is no range"):
        parse_range(text)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=1:3", [1, 2, 3]),
        ("a=1:5:2", [1, 3, 5]),
        ("a=0.1:0.3:0.1", [0.1, 0.2, 0.3]),
        ("a=-1.0:0:0.5", [-1.0, -0.5, 0.0]),
        ("a=x|y", ["x", "y"]),
    ],
)
def test_a_grid_has_all_values(text, values):
    assert grid_of(dict([parse_range(text)])) == [{"a": v} for v in values]


def test_the_last_range_of_a_grid_changes_fastest():
    grid = grid_of(dict(map(parse_range, ("a=1:2", "b=x|y"))))
    assert [tuple(each.values()) for each in grid] == [
        (1, "x"),
        (1, "y"),
        (2, "x"),
        (2, "y"),
    ]


@pytest.mark.parametrize("text", ["a=0:0.5", "a=1:9:log", "a=0.1:1:log"])
def test_a_range_without_steps_has_no_grid(text):
    with pytest.raises(UserError, match="'a' has no steps"):
        grid_of(dict([parse_range(text)]))
