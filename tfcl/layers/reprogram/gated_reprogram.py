"""The gated form of channel-wise reprogramming."""

from __future__ import annotations

import typing

import keras

from tfcl.layers.reprogram.channel_reprogram import (
    ChannelReprogram,
    identity_filter,
)

if typing.TYPE_CHECKING:
    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class GatedReprogram(ChannelReprogram):
    """A k x k filter per channel beside the map, weighed by a gate.

    `y = z + A (D * z)`, A one gate per channel, D a depthwise kernel; z is 0
    outside its map. Gates start at 0, kernels uniform within `1 / k`, so that
    the first step moves the gates alone. As a single filter,
    `R = identity + A D`.

    Args:
        kernel_size: k, odd and positive, in pixels.

    Input shape: `(batch, height, width, channels)`, any height and width.
    Output shape: same as the input.

    Raises:
        ValueError: If `kernel_size` is even or not positive.

    Reference:
        The program of Ge et al., "CLR", ICCV 2023 (its method `Ghost_a`).
    """

    def __init__(self, kernel_size: int = 3, **kwargs):
        super().__init__(kernel_size, **kwargs)
        limit = 1.0 / kernel_size
        self.kernel_initializer = keras.initializers.RandomUniform(
            -limit, limit
        )
        self.gate_initializer = keras.initializers.Zeros()

    def build(self, input_shape: Shape) -> None:
        self.gate = self.add_weight(
            name="gate",
            shape=(input_shape[-1],),
            initializer=self.gate_initializer,
        )
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return inputs + self.gate * super().call(inputs)

    def filter_value(self) -> Tensor:
        kernel, gate = self.kernel.numpy(), self.gate.numpy()
        own = gate[:, None] * kernel
        return identity_filter(self.kernel_size, len(gate)) + own
