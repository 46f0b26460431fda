"""Layers that hold a value per learned task and serve mixed batches."""

from __future__ import annotations

import typing

import keras
import tensorflow as tf

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


class ChosenTasks:
    """The task of each example of the batch that is being served.

    Attributes:
        numbers: int32 `(batch,)`, set while a bundle is traced.
    """

    numbers: Tensor = None

    def of_one(self) -> Tensor:
        """Whether all examples belong to the same task, a boolean scalar."""
        return tf.reduce_all(self.numbers == self.numbers[0])


class BankedLayer(keras.layers.Layer):
    """A layer with a row of values for every task.

    Lives only inside a bundle: it has no configuration.

    Args:
        chosen: `ChosenTasks`, one for all layers of a bundle.
        values: Arrays `(tasks, ...)`.
        **kwargs: As for `keras.layers.Layer`.
    """

    def __init__(self, chosen: ChosenTasks, *values, **kwargs):
        super().__init__(**kwargs)
        self.chosen = chosen
        self.values = [
            self.add_weight(
                name=f"values_{number}",
                shape=value.shape,
                initializer=keras.initializers.Constant(value),
                trainable=False,
            )
            for number, value in enumerate(values)
        ]

    def build(self, input_shape: Shape) -> None:
        self.built = True

    def rows(self, numbers: Any) -> Tensor:
        """Each of the values for the tasks `numbers`."""
        return [
            tf.gather(tf.convert_to_tensor(value), numbers)
            for value in self.values
        ]


class BankedScale(BankedLayer):
    """`x scale + shift` by the scale and shift of each example's task.

    Args:
        scale, shift: `(tasks, channels)`.

    Input shape: `(batch, ..., channels)`.
    Output shape: same as the input.
    """

    def call(self, inputs: Tensor) -> Tensor:
        scale, shift = (
            _on_channels(row, inputs) for row in self.rows(self.chosen.numbers)
        )
        return inputs * scale + shift

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


class SwitchedLayer(BankedLayer):
    """A layer with a quicker way for batches whose examples share a task."""

    def call(self, inputs: Tensor) -> Tensor:
        return tf.cond(
            self.chosen.of_one(),
            lambda: self._of_one(inputs),
            lambda: self._of_each(inputs),
        )


class BankedFilter(SwitchedLayer):
    """The k x k filter per channel of each example's task, plus a bias.

    Args:
        kernel: `(tasks, k, k, channels)`, k odd.
        bias: `(tasks, channels)`, added behind the filter.

    Input shape: `(batch, height, width, channels)`.
    Output shape: same as the input.
    """

    def _of_one(self, inputs):
        kernel, bias = self.rows(self.chosen.numbers[0])
        return _filtered(inputs, kernel[..., None]) + bias

    def _of_each(self, inputs):
        """All examples side by side as channels of one image."""
        kernels, bias = self.rows(self.chosen.numbers)
        count, height, width, channels = tf.unstack(tf.shape(inputs))
        kernels = tf.transpose(kernels, [1, 2, 0, 3])
        side = kernels.shape[0]
        kernels = tf.reshape(kernels, [side, side, count * channels, 1])
        wide = tf.transpose(inputs, [1, 2, 0, 3])
        wide = tf.reshape(wide, [1, height, width, count * channels])
        wide = _filtered(wide, kernels)
        wide = tf.reshape(wide, [height, width, count, channels])
        outputs = tf.transpose(wide, [2, 0, 1, 3])
        outputs = tf.ensure_shape(outputs, inputs.shape)
        return outputs + _on_channels(bias, outputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


class BankedDense(SwitchedLayer):
    """The dense layer of each example's task.

    Args:
        kernel: `(tasks, features, units)`.
        bias: `(tasks, units)`.

    Input shape: `(batch, features)`.
    Output shape: `(batch, units)`.
    """

    def _of_one(self, inputs):
        kernel, bias = self.rows(self.chosen.numbers[0])
        return tf.matmul(inputs, kernel) + bias

    def _of_each(self, inputs):
        kernels, bias = self.rows(self.chosen.numbers)
        return tf.einsum("nd,ndu->nu", inputs, kernels) + bias

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.values[1].shape[-1])


def _filtered(images, kernel):
    return tf.nn.depthwise_conv2d(images, kernel, (1, 1, 1, 1), "SAME")


def _on_channels(rows, inputs):
    """`(batch, channels)` in a shape that fits `(batch, ..., channels)`."""
    between = [1] * (len(inputs.shape) - 2)
    channels = rows.shape[-1]
    return tf.reshape(rows, [-1, *between, channels])
