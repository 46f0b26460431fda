"""A task's gate on the channels of a convolution."""

from __future__ import annotations

import functools
import typing

import keras
import numpy as np
import tensorflow as tf

from tfcl.arguments import PositiveFloat, PositiveInt, checked
from tfcl.layers.has_initializers import HasInitializers

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Lowered, Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class ChannelGate(HasInitializers, keras.layers.Layer):
    """One factor per image and output channel, from a layer's input.

    `softmax(FC2(relu(FC1(flatten(input)))) / temperature)`; multiply the
    convolution's output with it. Adds `n * hidden_units + hidden_units +
    hidden_units * filters + filters` weights for an input of n numbers.

    Args:
        filters: Output channels of the convolution.
        hidden_units: Width of FC1.
        temperature: Positive; small values make one channel win.
        kernel_initializer: For both kernels.
        bias_initializer: For both biases.
        **kwargs: As for `keras.layers.Layer`; an `activity_regularizer`
            sees the gates (see `GateEntropy`).

    Input shape: `(batch, height, width, channels)`, static but for the batch.
    Output shape: `(batch, 1, 1, filters)`, each row with the sum 1.

    Raises:
        ValueError: If `temperature` is not positive.

    Reference:
        Abati et al., "Conditional channel gated networks for task-aware
        continual learning", CVPR 2020, in the form of a baseline of Lee,
        Behpour, Eaton, ICML 2021 (softmax in place of binary gates).
    """

    @checked
    def __init__(
        self,
        filters: PositiveInt,
        hidden_units: PositiveInt = 256,
        temperature: PositiveFloat = 0.1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.hidden_units = hidden_units
        self.temperature = temperature

    def build(self, input_shape: Shape) -> None:
        sizes = {"hidden": self.hidden_units, "output": self.filters}
        rows = 1
        for size in input_shape[1:]:
            rows *= size
        for name, units in sizes.items():
            kernel = self.add_weight(
                name=f"{name}_kernel",
                shape=(rows, units),
                initializer=self.kernel_initializer,
            )
            bias = self.add_weight(
                name=f"{name}_bias",
                shape=(units,),
                initializer=self.bias_initializer,
            )
            setattr(self, f"{name}_kernel", kernel)
            setattr(self, f"{name}_bias", bias)
            rows = units
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        ops = keras.ops
        flat = ops.reshape(inputs, (-1, self.hidden_kernel.shape[0]))
        hidden = ops.matmul(flat, self.hidden_kernel) + self.hidden_bias
        logits = ops.matmul(ops.relu(hidden), self.output_kernel)
        # In full precision: the temperature magnifies rounding.
        logits = ops.cast(logits + self.output_bias, "float32")
        gates = ops.softmax(logits / self.temperature)
        gates = ops.reshape(gates, (-1, 1, 1, self.filters))
        return ops.cast(gates, self.compute_dtype)

    def owned_variables(self) -> list[tuple[str, keras.Variable, Any]]:
        """`(name, variable, initializer)` of each variable."""
        return [
            (
                v.name,
                v,
                self.kernel_initializer
                if v.name.endswith("kernel")
                else self.bias_initializer,
            )
            for v in self.weights
        ]

    def lower(self) -> Lowered:
        """The same as plain Keras layers, and their weights."""
        layers, dtype = keras.layers, self.dtype_policy
        plain = keras.Sequential(
            [
                layers.Flatten(dtype=dtype),
                layers.Dense(self.hidden_units, activation="relu", dtype=dtype),
                layers.Dense(self.filters, dtype=dtype),
                layers.Rescaling(1.0 / self.temperature, dtype="float32"),
                layers.Softmax(dtype="float32"),
                layers.Reshape((1, 1, self.filters), dtype="float32"),
            ],
            name=self.name,
        )
        return plain, [v.numpy() for v in self.weights]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], 1, 1, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "hidden_units": self.hidden_units,
            "temperature": self.temperature,
        }


@keras.saving.register_keras_serializable(package="tfcl")
class GateEntropy(keras.regularizers.Regularizer):
    """`weight` times the entropy of each image's gates, in nats.

    The entropy falls as fewer channels stay open. (An L1 norm of the gates
    would be constant: they sum to 1.)

    Args:
        weight: Not negative.
    """

    def __init__(self, weight: float):
        self.weight = weight

    def __call__(self, gates: Tensor) -> Tensor:
        gates = keras.ops.cast(gates, "float32")
        logs = keras.ops.log(keras.ops.maximum(gates, 1e-30))
        total = -self.weight * keras.ops.sum(gates * logs)
        if _keras_takes_means():
            return total
        return total / keras.ops.cast(keras.ops.shape(gates)[0], "float32")

    def get_config(self) -> dict[str, Any]:
        return {"weight": self.weight}


@functools.cache
def _keras_takes_means() -> bool:
    """Whether Keras divides what a regularizer of activities gives by the
    number of images; 3.12, the last one for Python 3.10, does not."""
    with tf.init_scope():  # Also if it is asked for while a step is traced.
        layer = keras.layers.Activation(
            "linear", activity_regularizer=keras.ops.sum
        )
        layer(np.ones((2, 1), np.float32))
        (loss,) = layer.losses
        return float(loss) == 1.0
