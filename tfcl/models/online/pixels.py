"""The pixels of an image as its features."""

from __future__ import annotations

import typing

import gin
import keras

if typing.TYPE_CHECKING:
    from tfcl.types import Shape


@gin.configurable(denylist=["image_shape"])
def pixels(image_shape: Shape) -> keras.Model:
    """A backbone without weights: the numbers of an image in a row.

    Args:
        image_shape: `(height, width, channels)`.
    """
    inputs = keras.Input(image_shape)
    return keras.Model(inputs, keras.layers.Flatten(name="flat")(inputs))
