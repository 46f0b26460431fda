"""A convolution that applies whatever kernel and bias it is given."""

from __future__ import annotations

import typing

import keras

from tfcl.layers.saves_all_variables import SavesAllVariables

if typing.TYPE_CHECKING:
    from tfcl.types import Tensor


class PairConv2D(SavesAllVariables, keras.layers.Conv2D):
    """Base of convolutions whose kernel is computed from several variables.

    Input shape: `(batch, height, width, channels)`.
    Output shape: as `keras.layers.Conv2D`.
    """

    @property
    def channel_axis(self) -> int:
        """Axis of the channels in an image tensor."""
        return -1 if self.data_format == "channels_last" else 1

    def apply_pair(
        self, inputs: Tensor, kernel: Tensor, bias: Tensor | None
    ) -> Tensor:
        """`activation(conv(inputs, kernel) + bias)`; bias may be None."""
        outputs = self.convolution_op(inputs, kernel)
        if bias is not None:
            shape = [1, 1, 1, 1]
            shape[self.channel_axis] = -1
            outputs = keras.ops.add(outputs, keras.ops.reshape(bias, shape))
        if self.activation is not None:
            outputs = self.activation(outputs)
        return outputs
