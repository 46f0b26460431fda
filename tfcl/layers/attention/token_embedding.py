"""What a transformer puts before and onto its patches."""

from __future__ import annotations

import typing

import keras

if typing.TYPE_CHECKING:
    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class TokenEmbedding(keras.layers.Layer):
    """Puts a trained class token before patches and adds their positions.

    Weights: `class_token` `(1, 1, width)`, `positions` `(1, patches + 1,
    width)`, the first of which is the class token's.

    Input shape: `(batch, patches, width)`.
    Output shape: `(batch, patches + 1, width)`.

    Reference:
        Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, eq. 1.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.class_token_initializer = keras.initializers.RandomNormal(
            stddev=1e-6
        )
        self.positions_initializer = keras.initializers.TruncatedNormal(
            stddev=0.02
        )

    def build(self, input_shape: Shape) -> None:
        _, patches, width = input_shape
        self.class_token = self.add_weight(
            name="class_token",
            shape=(1, 1, width),
            initializer=self.class_token_initializer,
        )
        self.positions = self.add_weight(
            name="positions",
            shape=(1, patches + 1, width),
            initializer=self.positions_initializer,
        )
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        ops = keras.ops
        token = ops.repeat(self.class_token, ops.shape(inputs)[0], axis=0)
        return ops.concatenate([token, inputs], axis=1) + self.positions

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, patches, width = input_shape
        return (batch, patches + 1, width)
