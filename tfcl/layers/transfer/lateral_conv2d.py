"""A convolution that also hears the columns of earlier tasks."""

from __future__ import annotations

import typing

import keras

from tfcl.arguments import PositiveInt, checked
from tfcl.layers.saves_all_variables import SavesAllVariables

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class LateralConv2D(SavesAllVariables, keras.layers.Conv2D):
    """2-D convolution with adapters from the columns of earlier tasks.

    `y = activation(conv(h, W) + b + sum_j conv(z_j, U_j))`,
    `z_j = relu(conv1x1(a_j h_j, V_j) + c_j)`, where `h` is the column's own
    input and `h_j` what column j has at the same place.

    Args:
        filters: Number of output channels.
        kernel_size: Integer or pair.
        columns: Number of earlier columns, at least 1.
        lateral_units: Channels n of each adapter z_j.
        **kwargs: As for `keras.layers.Conv2D`, channels last. The kernel
            initializer serves a, V and U too, the bias initializer c.

    Input: a list of `columns + 1` tensors `(batch, height, width, channels)`,
        the column's own first, then those of columns 0, 1, ....
    Output shape: as `keras.layers.Conv2D` of the first.

    Weights: kernel `(k, k, in, out)`, bias `(out,)`, lateral_scale a
        `(columns,)`, lateral_projection V `(columns, in, n)`, lateral_bias c
        `(columns, n)`, lateral_kernel U `(k, k, columns * n, out)`.

    Reference:
        Rusu et al., "Progressive Neural Networks", arXiv:1606.04671, eq. 2
        and sec. 2 (adapters), as a baseline of Lee, Behpour, Eaton, ICML 2021.
    """

    @checked
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        columns: PositiveInt,
        lateral_units: PositiveInt,
        **kwargs,
    ):
        super().__init__(filters, kernel_size, **kwargs)
        if self.data_format != "channels_last" or self.groups != 1:
            raise ValueError(
                "LateralConv2D works on channels last, without groups. "
                f"Received: data_format={self.data_format!r}, "
                f"groups={self.groups}"
            )
        self.columns = columns
        self.lateral_units = lateral_units
        self.input_spec = None  # Conv2D asks for one tensor.

    def build(self, input_shape: Shape) -> None:
        inputs = input_shape[0][-1]
        count, units = self.columns, self.lateral_units
        self._kernel = self._weight(
            "kernel", (*self.kernel_size, inputs, self.filters)
        )
        if self.use_bias:
            self.bias = self._weight("bias", (self.filters,))
        else:
            self.bias = None
        self.lateral_scale = self._weight("lateral_scale", (count,))
        self.lateral_projection = self._weight(
            "lateral_projection", (count, inputs, units)
        )
        self.lateral_bias = self._weight("lateral_bias", (count, units))
        self.lateral_kernel = self._weight(
            "lateral_kernel", (*self.kernel_size, count * units, self.filters)
        )
        self.built = True

    def _weight(self, name, shape):
        return self.add_weight(
            name=name, shape=shape, initializer=self._initializer_of(name)
        )

    def _initializer_of(self, name):
        if name.endswith("bias"):
            return self.bias_initializer
        return self.kernel_initializer

    def call(self, inputs: Tensor) -> Tensor:
        own, *others = inputs
        scale = keras.ops.reshape(self.lateral_scale, (-1, 1, 1))
        # The scale may as well multiply the small projection.
        projection = keras.ops.multiply(scale, self.lateral_projection)
        adapted = [
            keras.ops.relu(
                keras.ops.matmul(other, projection[j]) + self.lateral_bias[j]
            )
            for j, other in enumerate(others)
        ]
        # One convolution of all channels is the sum of the convolutions.
        kernel = keras.ops.concatenate(
            [self.kernel, self.lateral_kernel], axis=2
        )
        outputs = self.convolution_op(
            keras.ops.concatenate([own, *adapted], axis=-1), kernel
        )
        if self.bias is not None:
            outputs = keras.ops.add(outputs, self.bias)
        if self.activation is not None:
            outputs = self.activation(outputs)
        return outputs

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return super().compute_output_shape(input_shape[0])

    def owned_variables(self) -> list[tuple[str, keras.Variable, Any]]:
        """`(name, variable, initializer)` of each variable."""
        return [(v.name, v, self._initializer_of(v.name)) for v in self.weights]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "columns": self.columns,
            "lateral_units": self.lateral_units,
        }
