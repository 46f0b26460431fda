"""A network of dense layers, for images of which no neighbours count."""

from __future__ import annotations

import typing

import gin
import keras

if typing.TYPE_CHECKING:
    from tfcl.types import Shape


@gin.configurable(denylist=["image_shape"])
def dense_layers(image_shape: Shape, units: tuple = (400, 400)) -> keras.Model:
    """Flattened pixels, then dense layers with ReLU.

    Args:
        image_shape: `(height, width, channels)` of the input.
        units: Of each layer; two of 400 are those that most work on Split
            and Permuted MNIST compares with.

    Returns:
        A functional `keras.Model`: `(batch, height, width, channels)` to
        `(batch, features)`.

    Raises:
        ValueError: If there is no layer.

    Reference:
        van de Ven, Tuytelaars, Tolias, Nature Machine Intelligence 2022.
    """
    if not units:
        raise ValueError(
            "Argument `units` must have an entry per layer, at least one. "
            f"Received: units={units}"
        )
    inputs = keras.Input(image_shape)
    hidden = keras.layers.Flatten(name="pixels")(inputs)
    for depth, count in enumerate(units):
        layer = keras.layers.Dense(
            count, activation="relu", name=f"dense_{depth}"
        )
        hidden = layer(hidden)
    return keras.Model(inputs, hidden, name="dense_layers")
