"""Keys and values that stand before those of every image."""

from __future__ import annotations

import typing

import keras

from tfcl.arguments import PositiveInt, checked

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class GeneralPrefix(keras.layers.Layer):
    """One prefix for all images of all tasks (G-prompt).

    Weights: `prefix` `(2, length, width)`, keys before values, uniform in
    [-1, 1) at first.

    Args:
        length: Keys, and as many values.

    Input shape: `(batch, tokens, 3 * width)`, what `SelfAttention` gets.
    Output shape: `(batch, 2, length, width)`, for `SelfAttention`.

    Raises:
        ValueError: If `length` is not positive.

    Reference:
        Wang et al., "DualPrompt", ECCV 2022, sec. 4.1 and eq. 5.
    """

    @checked
    def __init__(self, length: PositiveInt, **kwargs):
        super().__init__(**kwargs)
        self.length = length
        self.prefix_initializer = keras.initializers.RandomUniform(-1.0, 1.0)

    def build(self, input_shape: Shape) -> None:
        self.prefix = self.add_weight(
            name="prefix",
            shape=(2, self.length, input_shape[-1] // 3),
            initializer=self.prefix_initializer,
        )
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        ops = keras.ops
        prefix = ops.convert_to_tensor(self.prefix)
        return ops.repeat(prefix[None], ops.shape(inputs)[0], axis=0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], 2, self.length, input_shape[-1] // 3)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "length": self.length}
