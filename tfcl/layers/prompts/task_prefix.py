"""Keys and values that a task puts before those of its images."""

from __future__ import annotations

import typing

import keras

from tfcl.arguments import PositiveInt, checked

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class TaskPrefix(keras.layers.Layer):
    """The prefix of the task that each image is said to be of (E-prompt).

    Weights: `prefixes` `(tasks, 2, length, width)`, keys before values,
    uniform in [-1, 1) at first.

    Args:
        length: Keys, and as many values.
        width: Values of a token.

    Input shape: `(batch, tasks)`, a one in the place of the task.
    Output shape: `(batch, 2, length, width)`, for `SelfAttention`.

    Raises:
        ValueError: If an argument is not positive.

    Reference:
        Wang et al., "DualPrompt", ECCV 2022, sec. 4.1 and eq. 5.
    """

    @checked
    def __init__(self, length: PositiveInt, width: PositiveInt, **kwargs):
        super().__init__(**kwargs)
        self.length = length
        self.width = width
        self.prefixes_initializer = keras.initializers.RandomUniform(-1.0, 1.0)

    def build(self, input_shape: Shape) -> None:
        self.prefixes = self.add_weight(
            name="prefixes",
            shape=(input_shape[-1], 2, self.length, self.width),
            initializer=self.prefixes_initializer,
        )
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        # All other tasks' products are exact zeros, and so their gradients.
        return keras.ops.tensordot(inputs, self.prefixes, axes=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], 2, self.length, self.width)

    def get_config(self) -> dict[str, Any]:
        config = {"length": self.length, "width": self.width}
        return {**super().get_config(), **config}
