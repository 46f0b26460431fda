"""Bindings that are given as ranges of values."""

import optuna

from tfcl.errors import UserError


def parse_range(text):
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
        kind = optuna.distributions.FloatDistribution
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
