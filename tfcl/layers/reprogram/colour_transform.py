"""An affine map of an image's channels, with fixed numbers."""

from __future__ import annotations

import typing

import keras
import numpy as np

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class ColourTransform(keras.layers.Layer):
    """`x matrix + offset` for the channels x of every pixel.

    Has no weights: brings images from one convention to another, perhaps
    with the channels in another order.

    Args:
        matrix: `(channels, new channels)` numbers.
        offset: One number per new channel.

    Input shape: `(..., channels)`.
    Output shape: `(..., new channels)`.

    Raises:
        ValueError: If the shapes do not fit together.
    """

    def __init__(self, matrix: Any, offset: Any, **kwargs):
        super().__init__(**kwargs)
        matrix, offset = np.asarray(matrix), np.asarray(offset)
        if matrix.ndim != 2 or offset.shape != matrix.shape[1:]:
            raise ValueError(
                "Argument `matrix` must have shape (channels, new channels) "
                "and `offset` one number per new channel. Received: shapes "
                f"{matrix.shape} and {offset.shape}"
            )
        self.matrix = matrix.astype(float).tolist()
        self.offset = offset.astype(float).tolist()

    def call(self, inputs: Tensor) -> Tensor:
        matrix, offset = (
            keras.ops.convert_to_tensor(np.array(value), inputs.dtype)
            for value in (self.matrix, self.offset)
        )
        return keras.ops.add(keras.ops.matmul(inputs, matrix), offset)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], len(self.offset))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "matrix": self.matrix,
            "offset": self.offset,
        }
