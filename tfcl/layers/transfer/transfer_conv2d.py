"""A convolution whose kernel comes out of a transfer mechanism."""

from __future__ import annotations

import typing

import keras

from tfcl.layers.pair_conv2d import PairConv2D
from tfcl.layers.transfer.hard_kernel import HardKernel

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.layers.transfer.kernel_generator import KernelGenerator
    from tfcl.types import Lowered, Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class TransferConv2D(PairConv2D):
    """2-D convolution with a generated kernel.

    `y = activation(conv(x, W) + b)`, where a `KernelGenerator` computes
    `(W, b)` from shared variables and the task's own: `TuckerKernel`,
    `DeconvKernel` or, without argument, `HardKernel` (an ordinary kernel).

    Args:
        filters: Number of output channels.
        kernel_size: Integer or pair.
        generator: `KernelGenerator`, not built.
        **kwargs: As for `keras.layers.Conv2D`; the initializers are those of
            a `HardKernel`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: as `keras.layers.Conv2D`.
    """

    generates_kernel = True
    """See `tfcl.models.surgery.lift.lower`."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        generator: KernelGenerator | None = None,
        **kwargs,
    ):
        super().__init__(filters, kernel_size, **kwargs)
        if generator is None:
            generator = HardKernel(
                self.kernel_initializer, self.bias_initializer
            )
        generator.use_bias = self.use_bias
        self.generator = generator

    def build(self, input_shape: Shape) -> None:
        self.build_generator(self.full_kernel_shape(input_shape))
        self.built = True

    def build_generator(self, kernel_shape: Shape) -> None:
        """Builds the generator, unless a saved one came built."""
        if not self.generator.built:
            self.generator.build(kernel_shape)

    def full_kernel_shape(self, input_shape: Shape) -> Shape:
        """`(height, width, in, out)` of the kernel."""
        channels = input_shape[self.channel_axis]
        return self.kernel_size + (channels // self.groups, self.filters)

    @property
    def effective_pair(self) -> tuple[Tensor, Tensor | None]:
        """Kernel and bias (None without) for the active task."""
        return self.generator.pair()

    def call(self, inputs: Tensor) -> Tensor:
        return self.apply_pair(inputs, *self.effective_pair)

    def owned_variables(self) -> list[tuple[str, keras.Variable, Any]]:
        """`(name, variable, initializer)` of each variable."""
        return self.generator.owned_variables()

    def lower(self) -> Lowered:
        """The plain `Conv2D` of the active task, and its weights."""
        config = keras.layers.Conv2D.get_config(self)
        pair = [v for v in self.effective_pair if v is not None]
        weights = [keras.ops.convert_to_numpy(v) for v in pair]
        return keras.layers.Conv2D.from_config(config), weights

    def get_config(self) -> dict[str, Any]:
        generator = keras.saving.serialize_keras_object(self.generator)
        return {**super().get_config(), "generator": generator}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TransferConv2D:
        generator = config.get("generator")
        if isinstance(generator, dict):
            generator = keras.saving.deserialize_keras_object(generator)
        return cls(**{**config, "generator": generator})
