"""The shared convolution on one part of a batch, the task's on the rest."""

from __future__ import annotations

import typing

import keras

if typing.TYPE_CHECKING:
    from tfcl.layers.transfer.selective_conv2d import SelectiveConv2D
    from tfcl.types import Shape, Tensor


class DividedConv2D(keras.layers.Layer):
    """Applies either kernel of a `SelectiveConv2D` to its part of the batch.

    The batch is a row of `2 * repeats` equal blocks; the shared kernel is
    applied to blocks 0, 2, 4, ..., the task's kernel to blocks 1, 3, 5, ....
    The generated kernel is computed once.

    Args:
        selective: A built `SelectiveConv2D` with `sharing="chosen"`; its
            variables are used, none are added.
        repeats: How often the two kernels take turns.

    Input shape: `(2 * repeats * n, height, width, channels)`.
    Output shape: `(2 * repeats * n, height', width', filters)`.
    """

    def __init__(self, selective: SelectiveConv2D, repeats: int = 1, **kwargs):
        kwargs.setdefault("dtype", selective.dtype_policy)
        super().__init__(**kwargs)
        self.selective = selective
        self.repeats = repeats

    def call(self, inputs: Tensor) -> Tensor:
        layer = self.selective
        own = (layer.task_kernel, layer.task_bias)
        pairs = (layer.generator.pair(), own)
        parts = _blocks(inputs, (self.repeats, 2, -1))
        outputs = [
            layer.apply_pair(_blocks(parts[:, k], (-1,), 2), *pair)
            for k, pair in enumerate(pairs)
        ]
        outputs = [_blocks(part, (self.repeats, -1)) for part in outputs]
        return _blocks(keras.ops.concatenate(outputs, axis=1), (-1,), 2)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.selective.compute_output_shape(input_shape)


def _blocks(tensor, sizes, leading=1):
    """Reshapes the `leading` first axes of a tensor to `sizes`."""
    return keras.ops.reshape(tensor, (*sizes, *tensor.shape[leading:]))
