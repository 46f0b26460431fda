"""Hard-parameter sharing: the shared kernel is the kernel."""

from __future__ import annotations

import typing

import keras

from tfcl.layers.has_initializers import HasInitializers
from tfcl.layers.transfer.kernel_generator import KernelGenerator

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class HardKernel(HasInitializers, KernelGenerator):
    """A kernel and a bias that all tasks use as they are.

    Args:
        kernel_initializer: For the kernel.
        bias_initializer: For the bias.
    """

    prefix = "shared"

    def make_weights(self, kernel_shape: Shape) -> None:
        self.kernel, self.bias = self.shared_pair(
            kernel_shape, self.kernel_initializer, self.bias_initializer
        )

    def pair(self) -> tuple[Tensor, Tensor | None]:
        return self.kernel, self.bias

    def adopt(self, weights: Any) -> None:
        for variable, value in zip(self.shared_variables, weights):
            variable.assign(value)
