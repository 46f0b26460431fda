"""How an input becomes a query to the keys of a `MemoryDense`: psi.

Source: Tiezzi et al., "Memory Head for Pre-Trained Backbones in Continual
Learning", CoLLAs 2024, and the published program.
"""

from __future__ import annotations

import math
import typing

import numpy as np
import tensorflow as tf

if typing.TYPE_CHECKING:
    from tfcl.types import Shape, Tensor


PROJECTIONS = ("identity", "sign", "resize1d", "resize2d", "resize2d_sign")


def check(projection: str, input_shape: Shape, key_size: int) -> None:
    """Raises ValueError unless the projection can give keys of that size.

    Args:
        projection: One of `PROJECTIONS`.
        input_shape: Of one example: `(features,)` or `(height, width,
            channels)`.
        key_size: Entries of a key.
    """
    size = math.prod(input_shape)
    if projection in ("identity", "sign") and key_size != size:
        raise ValueError(
            f"Argument `key_size` must be None or {size}, the size of what "
            f"the projection '{projection}' gives; 'resize1d' gives any size. "
            f"Received: key_size={key_size}"
        )
    if projection.startswith("resize2d"):
        if len(input_shape) != 3:
            raise ValueError(
                f"Argument `projection`='{projection}' needs images (height, "
                "width, channels) as key input; use 'resize1d' for vectors. "
                f"Received: input shape {tuple(input_shape)}"
            )
        if min(_resized_shape(input_shape, key_size)) < 1:
            raise ValueError(
                "Argument `key_size` must leave a pixel for each of the "
                f"{input_shape[-1]} channels. Received: key_size={key_size}"
            )


def project(inputs: Tensor, projection: str, key_size: int) -> Tensor:
    """psi(x).

    Args:
        inputs: `(b, features)`, or images `(b, height, width, channels)`.
        projection: "identity"; "sign", with sign(0) = 0; "resize1d", linear
            interpolation of the features with half-pixel centres;
            "resize2d", bilinear interpolation of an image to nearly
            `key_size / channels` pixels of its proportions, channel by
            channel, zeros behind; "resize2d_sign", the sign of that.
        key_size: Entries of a key, d.

    Returns:
        `(b, d)`, dtype of the input.
    """
    if projection.startswith("resize2d"):
        result = _resized_images(inputs, key_size)
    else:
        size = math.prod(inputs.shape[1:])
        result = tf.reshape(inputs, [-1, size])
        if projection == "resize1d" and size != key_size:
            weights = tf.constant(_interpolation(size, key_size), inputs.dtype)
            result = tf.matmul(result, weights, transpose_b=True)
    return tf.sign(result) if projection.endswith("sign") else result


def _resized_shape(input_shape, key_size):
    """Height and width after "resize2d"."""
    height, width, channels = input_shape
    pixels = key_size // channels
    # Python rounds halves to even, as the published program does.
    new_width = round(math.sqrt(pixels / (width * height)) * width)
    return (pixels // new_width if new_width else 0), new_width


def _resized_images(inputs, key_size):
    shape = inputs.shape[1:]
    rows, columns = (
        tf.constant(_interpolation(old, new), inputs.dtype)
        for old, new in zip(shape, _resized_shape(shape, key_size))
    )
    resized = tf.einsum("bhwc,yh,xw->bcyx", inputs, rows, columns)
    size = math.prod(resized.shape[1:])
    flat = tf.reshape(resized, [-1, size])
    return tf.pad(flat, [[0, 0], [0, key_size - size]])


def _interpolation(old, new):
    """Matrix `(new, old)` of linear interpolation, half-pixel centres."""
    places = np.maximum((np.arange(new) + 0.5) * old / new - 0.5, 0.0)
    left = np.floor(places).astype(int)
    right = np.minimum(left + 1, old - 1)
    part = places - left
    matrix = np.zeros((new, old))
    np.add.at(matrix, (np.arange(new), left), 1.0 - part)
    np.add.at(matrix, (np.arange(new), right), part)
    return matrix
