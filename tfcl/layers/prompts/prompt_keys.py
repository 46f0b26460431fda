"""Keys by which prompts are found."""

from __future__ import annotations

import typing

import keras

from tfcl.arguments import PositiveInt, checked

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class PromptKeys(keras.layers.Layer):
    """How much queries are like each of its keys, by the cosine.

    Weights: `keys` `(count, width)`, uniform in [-1, 1) at first.

    Args:
        count: Number of keys.

    Input shape: `(batch, width)`, queries.
    Output shape: `(batch, count)`, float32 in [-1, 1].

    Raises:
        ValueError: If `count` is not positive.

    Reference:
        Wang et al., "Learning to Prompt for Continual Learning", CVPR 2022,
        eq. 3; gamma there is 1 - cosine.
    """

    @checked
    def __init__(self, count: PositiveInt, **kwargs):
        # Half the bits of a cosine would not tell two near keys apart.
        super().__init__(autocast=False, **kwargs)
        self.count = count
        self.keys_initializer = keras.initializers.RandomUniform(-1.0, 1.0)

    def build(self, input_shape: Shape) -> None:
        self.keys = self.add_weight(
            name="keys",
            shape=(self.count, input_shape[-1]),
            initializer=self.keys_initializer,
        )
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        ops = keras.ops
        # Keys are to go to the queries, not the other way round.
        queries = ops.stop_gradient(ops.cast(inputs, "float32"))
        queries = ops.normalize(queries, axis=-1)
        keys = ops.normalize(ops.convert_to_tensor(self.keys), axis=-1)
        return ops.matmul(queries, ops.transpose(keys))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.count)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "count": self.count}
