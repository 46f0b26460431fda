"""Parts of an image whose area and aspect ratio are random."""

from __future__ import annotations

import math
import typing

import tensorflow as tf

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.types import Tensor


_ATTEMPTS = 10  # As in torchvision.
AREA_DRAWS = 2 * _ATTEMPTS
"""Random numbers that one part takes."""


def check_areas(scale: Sequence[float], ratio: Sequence[float]) -> None:
    """Refuses what `area_lengths` cannot take.

    Raises:
        ValueError: If one of them is no pair in its range.
    """
    if len(scale) != 2 or not 0.0 < scale[0] <= scale[1] <= 1.0:
        raise ValueError(
            "Argument `scale` must be two fractions of the area, 0 < "
            f"smallest <= largest <= 1. Received: scale={scale!r}"
        )
    if len(ratio) != 2 or not 0.0 < ratio[0] <= ratio[1]:
        raise ValueError(
            "Argument `ratio` must be two positive ratios width / height, "
            f"smallest <= largest. Received: ratio={ratio!r}"
        )


def area_lengths(
    drawn: Tensor,
    size: Any,
    scale: Sequence[float],
    ratio: Sequence[float],
) -> Tensor:
    """Height and width of a random part per image.

    The area is uniform in `scale`, the logarithm of the aspect ratio uniform
    in the logarithms of `ratio`; the first of 10 draws that fits is taken,
    else the largest part whose ratio is allowed.

    Args:
        drawn: Uniform in [0, 1), float32 `(b, AREA_DRAWS)`.
        size: Height and width of the images: two numbers, or an int32 tensor
            `(2,)`.
        scale: Smallest and largest area, as fractions of the image's.
        ratio: Smallest and largest width / height of the part.

    Returns:
        int32 `(b, 2)`.

    Reference:
        `RandomResizedCrop.get_params` of torchvision.
    """
    sides = tf.cast(tf.convert_to_tensor(size), tf.float32)
    low, high = (math.log(value) for value in ratio)
    span = scale[1] - scale[0]
    area = scale[0] + span * drawn[:, :_ATTEMPTS]
    area *= tf.reduce_prod(sides)
    ratios = tf.exp(low + (high - low) * drawn[:, _ATTEMPTS:])
    parts = tf.stack(
        [tf.round(tf.sqrt(area / ratios)), tf.round(tf.sqrt(area * ratios))],
        -1,
    )
    fits = tf.reduce_all((parts >= 1) & (parts <= sides), -1)
    # The first that fits.
    first = tf.argmax(tf.cast(fits, tf.int32), -1)
    chosen = tf.gather(parts, first, axis=1, batch_dims=1)
    found = tf.reduce_any(fits, -1, keepdims=True)
    middle = tf.cast(_largest(sides, ratio), tf.float32)
    return tf.cast(tf.where(found, chosen, middle), tf.int32)


def _largest(sides, ratio):
    """Height and width of the largest part of an allowed ratio."""
    height, width = tf.unstack(tf.cast(sides, tf.float64))
    return tf.stack(
        [
            tf.clip_by_value(tf.round(width / ratio[0]), 1.0, height),
            tf.clip_by_value(tf.round(height * ratio[1]), 1.0, width),
        ]
    )
