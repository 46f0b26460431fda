"""The pixels of an image as its features."""

import gin
import keras


@gin.configurable(denylist=["image_shape"])
def pixels(image_shape):
    """A backbone without weights: the numbers of an image in a row.

    Args:
        image_shape: `(height, width, channels)`.
    """
    inputs = keras.Input(image_shape)
    return keras.Model(inputs, keras.layers.Flatten(name="flat")(inputs))
