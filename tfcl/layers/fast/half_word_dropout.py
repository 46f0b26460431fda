"""Dropout from 16 random bits per element."""

from __future__ import annotations

import typing
from typing import Annotated

import keras
import tensorflow as tf

from tfcl.arguments import checked, within
from tfcl.layers.fast.packed_draws import packed_draws

if typing.TYPE_CHECKING:
    from tfcl.types import Lowered, Tensor


_STEPS = 1 << 16


@keras.saving.register_keras_serializable(package="tfcl")
class HalfWordDropout(keras.layers.Dropout):
    """Element-wise dropout that spends 16 random bits where Keras spends 32.

    Random numbers are a third of a small network's step on a CPU. The rate is
    rounded to a multiple of 2^-16, and what is kept is divided by the rounded
    probability, so that the mean is exact.

    Args:
        rate: Share of elements set to 0, in [0, 1).
        seed: Integer or None.

    Input shape: any; float.
    Output shape: same as the input.

    Raises:
        ValueError: If `rate` is not in [0, 1).

    Reference:
        Srivastava et al., "Dropout", JMLR 2014; scaled in training.
    """

    @checked
    def __init__(
        self,
        rate: Annotated[float, within("[0, 1)")],
        seed: int | None = None,
        **kwargs,
    ):
        if kwargs.pop("noise_shape", None) is not None:
            raise ValueError(
                "HalfWordDropout draws every element for itself; use "
                "keras.layers.Dropout for a noise_shape."
            )
        super().__init__(rate, seed=seed, **kwargs)

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        kept = max(round((1.0 - self.rate) * _STEPS), 1)
        if not training or kept == _STEPS:
            return inputs
        draws = packed_draws(
            tf.size(inputs), tf.uint16, self.seed_generator.next()
        )
        keep = tf.reshape(
            draws < tf.constant(kept, tf.uint16), tf.shape(inputs)
        )
        return inputs * (tf.cast(keep, inputs.dtype) * (_STEPS / kept))

    def lower(self) -> Lowered:
        """The plain Keras layer, which serves the same."""
        return keras.layers.Dropout(self.rate, name=self.name), []
