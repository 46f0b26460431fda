"""A head that answers with some of its classes only."""

from __future__ import annotations

import typing

import keras

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class SeenClasses(keras.layers.Wrapper):
    """The logits of a layer, and -1e9 for classes that were never learned.

    Args:
        layer: Layer to logits `(batch, classes)`.
        seen: A boolean per class.
    """

    def __init__(self, layer: keras.layers.Layer, seen: Any, **kwargs):
        super().__init__(layer, **kwargs)
        self.seen = [bool(value) for value in seen]

    def call(self, inputs: Tensor) -> Tensor:
        logits = self.layer(inputs)
        return keras.ops.where(self.seen, logits, -1e9)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], len(self.seen))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seen": self.seen}
