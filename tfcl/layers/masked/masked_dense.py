"""A dense layer whose weights belong to tasks."""

import keras

from tfcl.layers.masked.masked_kernel import MaskedKernel


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

    def call(self, inputs, training=None, picks=True):
        kernel = self.effective_kernel(training, picks)
        return self.apply_pair(inputs, kernel, self.bias)

    def apply_pair(self, inputs, kernel, bias):
        """`activation(inputs kernel + bias)`; bias may be None."""
        outputs = keras.ops.matmul(inputs, kernel)
        if bias is not None:
            outputs = keras.ops.add(outputs, bias)
        if self.activation is not None:
            outputs = self.activation(outputs)
        return outputs
