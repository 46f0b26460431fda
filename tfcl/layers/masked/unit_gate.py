"""Which units of the layer below the active task knows."""

from __future__ import annotations

import typing

import keras

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class UnitGate(keras.layers.Layer):
    """Passes open units (channels, last axis) and silences the others.

    The time stamp of DEN: a task opens the units that existed when it was
    learned; those that came later give it zeros.

    Weights: `open`, float32 `(units,)` of ones and zeros, not trained.

    Reference:
        Yoon et al., "Lifelong Learning with Dynamically Expandable Networks",
        ICLR 2018, sec. 3 (time-stamped inference).
    """

    def build(self, input_shape: Shape) -> None:
        self.open = self.add_weight(
            name="open",
            shape=(input_shape[-1],),
            initializer="ones",
            trainable=False,
        )
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        gate = keras.ops.cast(self.open, inputs.dtype)
        return keras.ops.multiply(inputs, gate)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def owned_variables(self) -> list[tuple[str, keras.Variable, Any]]:
        """`(name, variable, initializer)` of each variable."""
        return [("open", self.open, keras.initializers.Ones())]
