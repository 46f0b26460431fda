"""A dense layer whose weights belong to tasks."""

from __future__ import annotations

import typing

import keras

from tfcl.layers.masked.masked_kernel import MaskedKernel

if typing.TYPE_CHECKING:
    from tfcl.types import Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class MaskedDense(MaskedKernel, keras.layers.Dense):
    """Dense layer with a `MaskedKernel`: `activation(x W_eff + b)`.

    Args:
        units: Number of outputs.
        threshold, initial_score, picks: See `MaskedKernel`.
        **kwargs: As for `keras.layers.Dense`.

    Input shape: `(batch, ..., features)`.
    Output shape: `(batch, ..., units)`.
    """

    plain = keras.layers.Dense

    def call(
        self, inputs: Tensor, training: bool | None = None, picks: bool = True
    ) -> Tensor:
        kernel = self.effective_kernel(training, picks)
        return self.apply_pair(inputs, kernel, self.bias)

    def apply_pair(
        self, inputs: Tensor, kernel: Tensor, bias: Tensor | None
    ) -> Tensor:
        """`activation(inputs kernel + bias)`; bias may be None."""
        outputs = keras.ops.matmul(inputs, kernel)
        if bias is not None:
            outputs = keras.ops.add(outputs, bias)
        if self.activation is not None:
            outputs = self.activation(outputs)
        return outputs
