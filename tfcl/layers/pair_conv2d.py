"""A convolution that applies whatever kernel and bias it is given."""

import keras

from tfcl.layers.saves_all_variables import SavesAllVariables


class PairConv2D(SavesAllVariables, keras.layers.Conv2D):
    """Base of convolutions whose kernel is computed from several variables.

    Input shape: `(batch, height, width, channels)`.
    Output shape: as `keras.layers.Conv2D`.
    """

    @property
    def channel_axis(self):
        """Axis of the channels in an image tensor."""
        return -1 if self.data_format == "channels_last" else 1

    def apply_pair(self, inputs, kernel, bias):
        """`activation(conv(inputs, kernel) + bias)`; bias may be None."""
        outputs = self.convolution_op(inputs, kernel)
        if bias is not None:
            shape = [1, 1, 1, 1]
            shape[self.channel_axis] = -1
            outputs = keras.ops.add(outputs, keras.ops.reshape(bias, shape))
        if self.activation is not None:
            outputs = self.activation(outputs)
        return outputs
