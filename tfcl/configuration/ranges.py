"""Bindings that are given as ranges of values."""

from __future__ import annotations

import itertools
import typing

import optuna

from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def parse_range(text: str) -> tuple[str, Any]:
    """`(name, Optuna distribution)` of the text of a range.

    Raises:
        UserError: If it is none.
    """
    name, equals, values = (part.strip() for part in text.partition("="))
    if not name or not equals or not values:
        raise _no_range(text)
    if "|" in values:
        choices = [choice.strip() for choice in values.split("|")]
        return name, optuna.distributions.CategoricalDistribution(choices)
    parts = [part.strip() for part in values.split(":")]
    try:
        log = parts[2:] == ["log"]
        numbers = [_number(part) for part in (parts[:2] if log else parts)]
        if len(parts) not in (2, 3):
            raise ValueError("it has two or three parts")
        whole = all(isinstance(number, int) for number in numbers)
        kind: Any = optuna.distributions.FloatDistribution
        if whole:
            kind = optuna.distributions.IntDistribution
        step = numbers[2] if len(numbers) == 3 else (1 if whole else None)
        return name, kind(*numbers[:2], log=log, step=step)
    except ValueError as error:
        raise _no_range(text, f" ({error})") from error


def _number(text):
    try:
        return int(text)
    except ValueError:
        return float(text)


def _no_range(text, why=""):
    return UserError(
        f"--range '{text}' is no range{why}. Write Name.parameter=low:high, "
        "low:high:step, low:high:log, or choices a|b|c."
    )


def grid_of(ranges: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every combination of values, those of the last range fastest.

    Args:
        ranges: `{name: Optuna distribution}`.

    Returns:
        List of `{name: value}`.

    Raises:
        UserError: If a range has no steps.
    """
    values = [_steps(name, each) for name, each in ranges.items()]
    return [dict(zip(ranges, each)) for each in itertools.product(*values)]


def _steps(name, distribution):
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return distribution.choices
    if distribution.log or distribution.step is None:
        raise UserError(
            f"--range '{name}' has no steps, which a grid needs. Write "
            "low:high:step or choices a|b|c, or take another --sampler."
        )
    low, step = distribution.low, distribution.step
    count = round((distribution.high - low) / step) + 1
    # 0.1 + 2 * 0.1 is not 0.3.
    kind = type(low)
    return [kind(round(low + k * step, 12)) for k in range(count)]
