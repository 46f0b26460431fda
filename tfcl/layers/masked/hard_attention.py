"""Nearly binary gates on the units of the layer below."""

from __future__ import annotations

import typing

import keras
import tensorflow as tf

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class HardAttention(keras.layers.Layer):
    """Multiplies every unit (channel, last axis) by `sigmoid(scale e)`.

    Weights: `embedding`, e, `(units,)`, N(0, 1) at first.

    Args:
        scale: s; the larger, the nearer are the gates to 0 and 1. The
            attribute of this name may be set to a number or a scalar tensor
            later: it is read when a graph is traced.

    Input shape: `(batch, ..., units)`.
    Output shape: same as the input.

    Reference:
        Serra et al., "Overcoming catastrophic forgetting with hard attention
        to the task", ICML 2018, eq. 1.
    """

    def __init__(self, scale: float = 400.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def build(self, input_shape: Shape) -> None:
        self.embedding = self.add_weight(
            name="embedding",
            shape=(input_shape[-1],),
            initializer=self.embedding_initializer,
        )
        self.built = True

    @property
    def embedding_initializer(self) -> keras.Initializer:
        return keras.initializers.RandomNormal(stddev=1.0)

    def gates(self) -> Tensor:
        """a, `(units,)` in [0, 1]."""
        embedding = tf.convert_to_tensor(self.embedding)
        return tf.sigmoid(tf.cast(self.scale, embedding.dtype) * embedding)

    def call(self, inputs: Tensor) -> Tensor:
        return inputs * tf.cast(self.gates(), inputs.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}
