"""A dense layer with a supermask."""

import keras

from tfcl.layers.masked.supermask import Supermask


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

    def call(self, inputs):
        outputs = keras.ops.matmul(inputs, self.effective_kernel())
        return self.activation(outputs)
