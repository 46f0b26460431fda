"""Ranges of values that a search tries."""

import optuna
import pytest

from tfcl.configuration_ranges import parse_range
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
