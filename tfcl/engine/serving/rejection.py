"""The answer "none of these", below a probability."""

from __future__ import annotations

import typing

import tensorflow as tf

from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.engine.storage.bank import BankedTask
    from tfcl.types import Tensor


NONE_OF_THESE = "none of these"


def labelled(
    names: Tensor, probabilities: Tensor, reject_below: float | None
) -> Tensor:
    """What a served model calls its images.

    Args:
        names: The most probable name of each image, `(n,)`.
        probabilities: `(n, C)`.
        reject_below: An image whose largest probability is below it is
            called `NONE_OF_THESE`. None rejects nothing.

    Returns:
        Text `(n,)`.
    """
    if reject_below is None:
        return names
    sure = tf.reduce_max(probabilities, axis=-1) >= reject_below
    return tf.where(sure, names, tf.constant(NONE_OF_THESE))


def check_rejects(
    entries: Sequence[BankedTask], reject_below: float | None
) -> None:
    """Refuses a threshold that would reject nothing or all, or reads wrong.

    Args:
        entries: `BankedTask`s to be served.
        reject_below: See `labelled`.

    Raises:
        UserError: If it is no probability between 0 and 1, or a class is
            called like the answer.
    """
    if reject_below is None:
        return
    if not 0.0 < reject_below < 1.0:
        raise UserError(
            "--reject_below is a probability: it must be above 0 and below 1. "
            f"Received: {reject_below}"
        )
    for entry in entries:
        if NONE_OF_THESE in entry.class_names:
            raise UserError(
                f"Task '{entry.name}' has a class '{NONE_OF_THESE}', which "
                "--reject_below gives as its answer. Rename the class, or "
                "leave the threshold out."
            )


def about_rejection(reject_below: float | None) -> dict[str, Any]:
    """What `model.json` tells of it, JSON-ready."""
    if reject_below is None:
        return {}
    return {"reject_below": reject_below, "rejected_label": NONE_OF_THESE}
