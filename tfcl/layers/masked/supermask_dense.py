"""A dense layer with a supermask."""

from __future__ import annotations

import typing

import keras

from tfcl.layers.masked.supermask import Supermask

if typing.TYPE_CHECKING:
    from tfcl.types import Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class SupermaskDense(Supermask, keras.layers.Dense):
    """Dense layer with a `Supermask`: `activation(x W_eff)`.

    Args:
        units: Number of outputs.
        share: See `Supermask`.

    Input shape: `(batch, ..., features)`.
    Output shape: `(batch, ..., units)`.
    """

    plain = keras.layers.Dense

    def call(self, inputs: Tensor) -> Tensor:
        outputs = keras.ops.matmul(inputs, self.effective_kernel())
        return self.activation(outputs)
