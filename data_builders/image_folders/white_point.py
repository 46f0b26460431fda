"""Which number is white, where images have more than 8 bits: per data set."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tfcl.data_builders.image_folders.tree_faults import TreeError

# White of 8, 10, 12, 14 and 16 bits.
_WHOLE = (255, 1023, 4095, 16383, 65535)
# Numbers from 0 to 1 that resizing has carried beyond.
_OVERSHOOT = 1.1
# Brighter than this part of white are all data sets worth a look.
_DIM = 0.25


class Range(NamedTuple):
    """The numbers of one image of more than 8 bits.

    Attributes:
        floating: Whether they are floating numbers.
        low: The smallest.
        high: The largest.
    """

    floating: bool
    low: float
    high: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Range":
        """That of one image."""
        return cls(
            values.dtype.kind == "f", float(values.min()), float(values.max())
        )


class White(NamedTuple):
    """What was decided.

    Attributes:
        value: The number that is white.
        told: What to say of it.
        warning: What is odd with it, or "".
    """

    value: float
    told: str
    warning: str


def decide(
    place: str, ranges: Iterable[Range], total: int, given: float | None = None
) -> White:
    """The white of a data set.

    Whole numbers are taken for those of the fewest bits (8, 10, 12, 14 or 16)
    that hold all images; so are floating numbers, unless they end at 1.

    Args:
        place: What messages call the data set.
        ranges: Of its images of more than 8 bits; at least one.
        total: Number of all its images.
        given: White as the user says.

    Raises:
        TreeError: If nothing tells it.
    """
    ranges = list(ranges)
    low = min(each.low for each in ranges)
    high = max(each.high for each in ranges)
    kinds = {each.floating for each in ranges}
    numbers = f"numbers from {_text(low)} to {_text(high)}"
    if len(kinds) > 1:
        raise TreeError(
            f"{place} holds both images of whole and of floating {numbers}, "
            "which have no white in common. Save them in one way."
        )
    kind = "floating" if kinds == {True} else "whole"
    white = given or _guessed(kinds == {True}, high)
    if white is None:
        raise TreeError(
            f"{place} holds images of {kind} {numbers}, and nothing says which "
            "is white. Say it: white = ..., or save them with 8 bits."
        )
    told = (
        f"{place}: {len(ranges)} of {total} images hold "
        f"{kind} {numbers}; white is {_text(white)}"
        f"{'' if given else ' (if that is wrong: white = ...)'}."
    )
    return White(float(white), told, _warning(place, ranges, total, white))


def _guessed(floating, high):
    if floating and high <= _OVERSHOOT:
        return 1.0
    white = next((white for white in _WHOLE if high <= white), None)
    if floating and white is not None and high < _DIM * white:
        return None
    return white


def _warning(place, ranges, total, white):
    low = min(each.low for each in ranges)
    high = max(each.high for each in ranges)
    odd = []
    if high < _DIM * white:
        odd.append(
            f"no number exceeds {_text(high)}, so that all is nearly black"
        )
    if high > white:
        odd.append(f"numbers up to {_text(high)} are cut to white")
    if low < 0:
        odd.append(f"numbers from {_text(low)} to 0 are cut to black")
    if len(ranges) < total:
        odd.append(
            f"the other {total - len(ranges)} images have 8 bits, with white "
            "at 255"
        )
    if not odd:
        return ""
    return f"{place}, white {_text(white)}: {'; '.join(odd)}."


def _text(number):
    return f"{number:,.0f}" if number == round(number) else f"{number:,.4g}"
