"""Start values of the keys and memory units of a `MemoryDense`."""

from __future__ import annotations

import math
import typing

import keras
import numpy as np

from tfcl.layers.memory import memory_update

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class KeyInitializer(keras.initializers.Initializer):
    """U(-1/sqrt(d), 1/sqrt(d)) over the last axis, of length 1 if asked for.

    Args:
        unit_length: Whether keys are brought to length 1.
        seed: Integer.
    """

    def __init__(self, unit_length: bool = False, seed: int | None = None):
        self.unit_length = unit_length
        self.seed = seed

    def __call__(self, shape: Shape, dtype: Any | None = None) -> Tensor:
        values = _uniform(shape, dtype, self.seed)
        if not self.unit_length:
            return values
        return memory_update.unit_length(values)

    def get_config(self) -> dict[str, Any]:
        return {"unit_length": self.unit_length, "seed": self.seed}


@keras.saving.register_keras_serializable(package="tfcl")
class MemoryInitializer(keras.initializers.Initializer):
    """U(-1/sqrt(u), 1/sqrt(u)) over the last axis of length u.

    Args:
        tail: The last entries of a unit that are the gains and offsets of its
            normalisation: the first half 1, the second 0.
        seed: Integer.
    """

    def __init__(self, tail: int = 0, seed: int | None = None):
        self.tail = tail
        self.seed = seed

    def __call__(self, shape: Shape, dtype: Any | None = None) -> Tensor:
        values = _uniform(shape, dtype, self.seed)
        if not self.tail:
            return values
        values = np.array(values)
        values[..., -self.tail :] = 0.0
        values[..., -self.tail : -self.tail // 2] = 1.0
        return keras.ops.convert_to_tensor(values)

    def get_config(self) -> dict[str, Any]:
        return {"tail": self.tail, "seed": self.seed}


def _uniform(shape, dtype, seed):
    bound = 1.0 / math.sqrt(shape[-1])
    draw = keras.initializers.RandomUniform(-bound, bound, seed=seed)
    return draw(shape, dtype=dtype)
