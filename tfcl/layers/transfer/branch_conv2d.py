"""The shared and the task's convolution of a layer, in one call."""

from __future__ import annotations

import typing

import keras

if typing.TYPE_CHECKING:
    from tfcl.layers.transfer.selective_conv2d import SelectiveConv2D
    from tfcl.types import Shape, Tensor


# Activations that look at several channels at once.
_MIXING = ("glu", "log_softmax", "softmax", "sparsemax")


class BranchConv2D(keras.layers.Layer):
    """Applies both kernels of a `SelectiveConv2D` to the same input.

    The generated kernel is computed once, however many configurations use it.

    Output channels: first those of the shared kernel, then those of the
    task's kernel. `Unpack` turns the two halves into two examples.

    Args:
        selective: A built `SelectiveConv2D` with `sharing="chosen"`; its
            variables are used, none are added.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, height', width', 2 * filters)`.

    Raises:
        ValueError: If the channels do not come last.
    """

    def __init__(self, selective: SelectiveConv2D, **kwargs):
        kwargs.setdefault("dtype", selective.dtype_policy)
        super().__init__(**kwargs)
        if selective.data_format != "channels_last":
            raise ValueError(
                "Argument `selective` must have data_format='channels_last', "
                "so that both halves lie in the last axis. "
                f"Received: data_format={selective.data_format!r}"
            )
        self.selective = selective
        activation = getattr(selective.activation, "__name__", None)
        # One convolution with both kernels would pair the groups of one half
        # with the inputs of the other.
        self._at_once = selective.groups == 1 and activation not in _MIXING

    def call(self, inputs: Tensor) -> Tensor:
        layer = self.selective
        kernel, bias = layer.generator.pair()
        if not self._at_once:
            pairs = ((kernel, bias), (layer.task_kernel, layer.task_bias))
            halves = [layer.apply_pair(inputs, *pair) for pair in pairs]
            return keras.ops.concatenate(halves, axis=-1)
        kernel = keras.ops.concatenate([kernel, layer.task_kernel], axis=-1)
        if layer.use_bias:
            bias = keras.ops.concatenate([bias, layer.task_bias])
        return layer.apply_pair(inputs, kernel, bias)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape = self.selective.compute_output_shape(input_shape)
        return (*shape[:-1], 2 * self.selective.filters)


class Unpack(keras.layers.Layer):
    """Turns two channel halves into two halves of the batch.

    Input shape: `(batch, ..., 2 * channels)`.
    Output shape: `(2 * batch, ..., channels)`, first half of the channels
        first.
    """

    def __init__(self, **kwargs):
        # Passes numbers on as they come, whatever the global precision.
        super().__init__(autocast=False, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        return keras.ops.concatenate(
            keras.ops.split(inputs, 2, axis=-1), axis=0
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[1:-1], input_shape[-1] // 2)
