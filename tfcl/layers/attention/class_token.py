"""What a transformer answers with."""

from __future__ import annotations

import typing

import keras

if typing.TYPE_CHECKING:
    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class ClassToken(keras.layers.Layer):
    """The first token, which a `TokenEmbedding` has put there.

    Input shape: `(batch, tokens, width)`.
    Output shape: `(batch, width)`.

    Reference:
        Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, eq. 4.
    """

    def build(self, input_shape: Shape) -> None:
        del input_shape
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        return inputs[:, 0]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, _, width = input_shape
        return (batch, width)
