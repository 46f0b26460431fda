"""Start kernels of one size and random signs."""

from __future__ import annotations

import math
import typing

import keras

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class SignedConstant(keras.initializers.Initializer):
    """`+-sqrt(2 / (fan_in * share))`, each sign with probability 1/2.

    Args:
        share: Part of the kernel that will be used, in (0, 1].
        seed: Integer, None, or a `keras.random.SeedGenerator`.

    Reference:
        Ramanujan et al., "What's Hidden in a Randomly Weighted Neural
        Network?", CVPR 2020, sec. 3.2.
    """

    def __init__(self, share: float = 1.0, seed: Any | None = None):
        self.share = share
        self.seed = seed

    def __call__(self, shape: Shape, dtype: Any | None = None) -> Tensor:
        size = math.sqrt(2.0 / (math.prod(shape[:-1]) * self.share))
        draws = keras.random.uniform(shape, -1.0, 1.0, seed=self.seed)
        signs = keras.ops.where(draws < 0.0, -size, size)
        return keras.ops.cast(signs, dtype or draws.dtype)

    def get_config(self) -> dict[str, Any]:
        return {"share": self.share, "seed": self.seed}
