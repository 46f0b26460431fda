"""Prompts out of which every image takes those that fit it."""

from __future__ import annotations

import typing

import keras

from tfcl.arguments import PositiveInt, checked, require

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class PromptPool(keras.layers.Layer):
    """The prompts whose keys are nearest, one behind the other.

    Weights: `prompts` `(pool, length, width)` and, if it is diversified,
    `frequency` `(pool,)`, not trained: how often each was chosen while earlier
    tasks were learned, over the sum. In training, `frequency` times the
    distance `1 - cosine` then chooses, so that tasks take to prompts that
    others have left.

    Args:
        length: Tokens of a prompt.
        width: Values of a token.
        chosen: Prompts for each image.
        diversified: Whether it has `frequency`, which begins as ones.

    Input shape: `(batch, pool)`, cosines of queries and keys.
    Output shape: `(batch, chosen * length, width)`.

    Raises:
        ValueError: If an argument is not positive, or `chosen` greater than
            the pool.

    Reference:
        Wang et al., "Learning to Prompt for Continual Learning", CVPR 2022,
        eq. 3 and 4.
    """

    @checked
    def __init__(
        self,
        length: PositiveInt,
        width: PositiveInt,
        chosen: PositiveInt,
        diversified: bool = False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.length = length
        self.width = width
        self.chosen = chosen
        self.diversified = diversified
        self.prompts_initializer = keras.initializers.TruncatedNormal(
            stddev=0.02
        )
        self.frequency_initializer = keras.initializers.Ones()

    def build(self, input_shape: Shape) -> None:
        pool = input_shape[-1]
        require(
            self.chosen <= pool,
            "chosen",
            f"must be at most the {pool} prompts of the pool",
            self.chosen,
        )
        self.prompts = self.add_weight(
            name="prompts",
            shape=(pool, self.length, self.width),
            initializer=self.prompts_initializer,
        )
        if self.diversified:
            self.frequency = self.add_weight(
                name="frequency",
                shape=(pool,),
                initializer=self.frequency_initializer,
                trainable=False,
            )
        self.built = True

    def choice(self, cosines: Tensor, training: bool) -> Tensor:
        """Places of the chosen prompts, nearest first, `(batch, chosen)`."""
        distances = 1.0 - cosines
        if self.diversified and training:
            distances *= keras.ops.convert_to_tensor(self.frequency)
        return keras.ops.top_k(-distances, self.chosen)[1]

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        ops = keras.ops
        places = self.choice(inputs, bool(training))
        pool = inputs.shape[-1]
        # By a product: the gradient is then one of the whole pool.
        taken = ops.one_hot(places, pool, dtype=self.compute_dtype)
        prompts = ops.cast(self.prompts, self.compute_dtype)
        found = ops.tensordot(taken, prompts, axes=1)
        return ops.reshape(found, (-1, self.chosen * self.length, self.width))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.chosen * self.length, self.width)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "length": self.length,
            "width": self.width,
            "chosen": self.chosen,
            "diversified": self.diversified,
        }
