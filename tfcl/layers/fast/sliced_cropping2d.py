"""Cropping with a quick gradient."""

from __future__ import annotations

import typing

import keras
import tensorflow as tf

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Lowered, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class SlicedCropping2D(keras.layers.Cropping2D):
    """`keras.layers.Cropping2D`, whose gradient is a padding with zeros.

    Keras takes a strided slice, whose gradient needs five times as long on a
    CPU (3.0 instead of 0.5 ms for maps of 64 x 6 x 6 x 128).

    Args:
        cropping: As of `keras.layers.Cropping2D`.

    Input shape: `(batch, height, width, channels)`; height and width known.
    Output shape: the same without the cropped rows and columns.
    """

    def __init__(self, cropping: Any, **kwargs):
        super().__init__(cropping, data_format="channels_last", **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        _, height, width, _ = self.compute_output_shape(inputs.shape)
        (top, _), (left, _) = self.cropping
        return tf.slice(inputs, (0, top, left, 0), (-1, height, width, -1))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["data_format"]
        return config

    def lower(self) -> Lowered:
        """The plain Keras layer, which serves the same."""
        return keras.layers.Cropping2D(self.cropping, name=self.name), []
