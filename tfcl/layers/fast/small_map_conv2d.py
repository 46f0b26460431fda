"""Convolution over maps of a few pixels, tap by tap."""

from __future__ import annotations

import typing

import keras
import tensorflow as tf

if typing.TYPE_CHECKING:
    from tfcl.types import Tensor


# A kernel this large does not stay in a core's cache, and with this few
# places it is rearranged for longer than it is used (benchmarks/clr.py).
_MOST_PLACES = 9
_FEWEST_WEIGHTS = 256 * 256


@keras.saving.register_keras_serializable(package="tfcl")
class SmallMapConv2D(keras.layers.Conv2D):
    """A `keras.layers.Conv2D` that is quick where its map is tiny.

    `y[i, j] = sum_uv x[s i + u - p, s j + v - p] W[u, v]`: where the output
    has at most 3 x 3 places and a tap at least 65,536 weights, each tap is one
    matrix product over the places that it reaches; the last stage of a
    ResNet-50 on images of 64 x 64 takes a quarter of the time. Other calls
    are those of Keras' layer. Equal to it but for rounding.

    Args:
        *args, **kwargs: As for `keras.layers.Conv2D`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: as of `keras.layers.Conv2D`.
    """

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        if not self._pays(inputs.shape):
            return super().convolution_op(inputs, kernel)
        kernel = tf.convert_to_tensor(kernel)
        taps = tf.reshape(kernel, (-1, *kernel.shape[2:]))
        rows, columns = (self._reached(inputs.shape, axis) for axis in (0, 1))
        parts = []
        for u, (read_rows, row_border) in enumerate(rows):
            for v, (read_columns, column_border) in enumerate(columns):
                if read_rows is None or read_columns is None:
                    continue
                seen = inputs[:, read_rows, read_columns]
                part = _product(seen, taps[u * len(columns) + v])
                border = [(0, 0), row_border, column_border, (0, 0)]
                parts.append(tf.pad(part, border))
        return tf.add_n(parts)

    def _pays(self, shape):
        """Whether the product is the quicker way, and a possible one."""
        if None in shape[1:3] or self.data_format != "channels_last":
            return False
        if self.groups > 1 or set(self.dilation_rate) != {1}:
            return False
        height, width = self.compute_output_shape(shape)[1:3]
        few = 0 < height * width <= _MOST_PLACES
        return few and shape[-1] * self.filters >= _FEWEST_WEIGHTS

    def _reached(self, shape, axis):
        """Per tap: the slice of the input that it reads, and the border.

        The border counts the places of the output before and behind those
        that the tap reaches; a tap that reaches none has the slice None.
        """
        size, stride = shape[axis + 1], self.strides[axis]
        places = self.compute_output_shape(shape)[axis + 1]
        padding = 0
        if self.padding == "same":
            missing = (places - 1) * stride + self.kernel_size[axis] - size
            padding = max(missing, 0) // 2
        found = []
        for tap in range(self.kernel_size[axis]):
            first = tap - padding
            inside = [
                place
                for place in range(places)
                if 0 <= place * stride + first < size
            ]
            if not inside:
                found.append((None, None))
                continue
            start = inside[0] * stride + first
            stop = inside[-1] * stride + first + 1
            border = (inside[0], places - 1 - inside[-1])
            found.append((slice(start, stop, stride), border))
        return found


def _product(seen, tap):
    """`(batch, h, w, in)` by `(in, out)`, as one matrix product."""
    height, width, channels = seen.shape[1:]
    product = tf.matmul(tf.reshape(seen, (-1, channels)), tap)
    return tf.reshape(product, (-1, height, width, tap.shape[-1]))
