"""Checks of arguments that several streams and augmentations have."""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any


def check_choice(
    name: str,
    value: Any,
    known: Collection[Any],
    kind: str = "",
    remedy: str = "",
) -> None:
    """Refuses a value that is none of those known.

    Args:
        name: Of the argument.
        value: What was received.
        known: The values that it may have.
        kind: What these are, "the published ".
        remedy: What stands behind them, for example "; for others ...".

    Raises:
        ValueError: If it is none of them.
    """
    if value not in known:
        raise ValueError(
            f"Argument `{name}` must be one of {kind}"
            f"{', '.join(map(str, known))}{remedy}. "
            f"Received: {name}={value!r}"
        )


def check_pixels(name: str, value: Any) -> None:
    """Refuses a negative number of pixels."""
    if value < 0:
        raise ValueError(
            f"Argument `{name}` must not be negative, it is a number of "
            f"pixels. Received: {name}={value}"
        )


def check_batch_size(value: Any) -> None:
    """Refuses a number of examples per step that is not one."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(
            "Argument `batch_size` must be a whole number, at least 1. "
            f"Received: batch_size={value!r}"
        )
