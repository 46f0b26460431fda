"""PyTorch's start values of convolutions and dense layers."""

from __future__ import annotations

import math
import typing

import keras

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class FanInUniform(keras.initializers.Initializer):
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)), for kernels and biases.

    Args:
        fan_in: Inputs of a unit: kernel height * width * channels, or rows of
            a dense kernel. None reads it off a kernel's shape; a bias does
            not tell it, so there it must be given, by `of_fan_in` where a
            layer knows it only when it is built.
        seed: Integer, None, or a `keras.random.SeedGenerator`.

    Raises:
        ValueError: If a bias is to be drawn without `fan_in`.

    Reference:
        `torch.nn.Linear`, `torch.nn.Conv2d`: `kaiming_uniform_(a=sqrt(5))`.
    """

    def __init__(self, fan_in: int | None = None, seed: Any | None = None):
        self.fan_in = fan_in
        self.seed = seed

    def of_fan_in(self, fan_in: int) -> Tensor:
        """The initializer of a bias whose kernel has so many inputs."""
        return type(self)(fan_in, self.seed)

    def __call__(self, shape: Shape, dtype: Any | None = None) -> Tensor:
        fan_in = self.fan_in
        if fan_in is None:
            if len(shape) < 2:
                raise ValueError(
                    "Argument `fan_in` must be given for a bias. Received: "
                    f"fan_in=None, shape {tuple(shape)}"
                )
            fan_in = math.prod(shape[:-1])
        limit = 1.0 / math.sqrt(fan_in)
        return keras.random.uniform(
            shape, -limit, limit, dtype=dtype, seed=self.seed
        )

    def get_config(self) -> dict[str, Any]:
        return {"fan_in": self.fan_in, "seed": self.seed}
