"""The shared and the task's convolution of a layer, in one call."""

import keras


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
    """

    def __init__(self, selective, **kwargs):
        super().__init__(**kwargs)
        self.selective = selective

    def call(self, inputs):
        layer = self.selective
        kernel, bias = layer.generator.pair()
        kernel = keras.ops.concatenate([kernel, layer.task_kernel], axis=-1)
        if layer.use_bias:
            bias = keras.ops.concatenate([bias, layer.task_bias])
        return layer.apply_pair(inputs, kernel, bias)

    def compute_output_shape(self, input_shape):
        shape = self.selective.compute_output_shape(input_shape)
        return (*shape[:-1], 2 * self.selective.filters)


class Unpack(keras.layers.Layer):
    """Turns two channel halves into two halves of the batch.

    Input shape: `(batch, ..., 2 * channels)`.
    Output shape: `(2 * batch, ..., channels)`, first half of the channels
        first.
    """

    def call(self, inputs):
        return keras.ops.concatenate(
            keras.ops.split(inputs, 2, axis=-1), axis=0
        )

    def compute_output_shape(self, input_shape):
        return (None, *input_shape[1:-1], input_shape[-1] // 2)
