"""The shared and the task's convolution of a layer, blended."""

from __future__ import annotations

import typing

import keras

if typing.TYPE_CHECKING:
    from tfcl.layers.transfer.selective_conv2d import SelectiveConv2D
    from tfcl.types import Shape, Tensor


class MixedConv2D(keras.layers.Layer):
    """`m_0 act(conv(x; V) + v) + m_1 act(conv(x; S) + s)`, `m = softmax`.

    The blend is taken after the activation, of the task's own kernel V and
    the kernel S of the transfer mechanism.

    Args:
        selective: A built `SelectiveConv2D` with `sharing="chosen"`; its
            variables are used.
        logits: `keras.Variable` `(layers, 2)`: task-specific, shared.
        depth: Row of `logits`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: as the convolution's.
    """

    def __init__(
        self, selective: SelectiveConv2D, logits: Tensor, depth: int, **kwargs
    ):
        kwargs.setdefault("dtype", selective.dtype_policy)
        super().__init__(**kwargs)
        self.selective = selective
        self.logits = logits
        self.depth = depth

    def call(self, inputs: Tensor) -> Tensor:
        layer = self.selective
        own = (layer.task_kernel, layer.task_bias)
        pairs = (own, layer.generator.pair())
        logits = keras.ops.convert_to_tensor(self.logits)[self.depth]
        weights = keras.ops.softmax(logits)
        return sum(
            keras.ops.cast(weights[k], self.compute_dtype)
            * layer.apply_pair(inputs, *pair)
            for k, pair in enumerate(pairs)
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.selective.compute_output_shape(input_shape)
