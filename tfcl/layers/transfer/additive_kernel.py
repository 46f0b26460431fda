"""Additive parameter decomposition: shared, masked, plus the task's own."""

from __future__ import annotations

import typing

import keras

from tfcl.layers.has_initializers import HasInitializers
from tfcl.layers.transfer.kernel_generator import KernelGenerator

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class AdditiveKernel(HasInitializers, KernelGenerator):
    """`W = S * sigmoid(M) + tau`: S and the bias serve all tasks.

    Mask logits M and tau have the kernel's shape and belong to the task.

    Args:
        kernel_initializer: For S.
        bias_initializer: For the bias.
        initial_stddev: Deviation of the truncated normal start values of M
            and tau.
        retains: Keep a copy of S from before the task, which `drift` measures
            against.

    Reference:
        Yoon et al., "Scalable and order-robust continual learning with
        additive parameter decomposition", ICLR 2020, eq. 1, as a baseline of
        Lee, Behpour, Eaton, ICML 2021: there the mask is one per weight
        instead of one per output channel.
    """

    prefix = "additive"

    def __init__(
        self, initial_stddev: float = 0.05, retains: bool = False, **kwargs
    ):
        super().__init__(**kwargs)
        self.initial_stddev = initial_stddev
        self.retains = retains

    def make_weights(self, kernel_shape: Shape) -> None:
        self.shared_kernel, self.bias = self.shared_pair(
            kernel_shape, self.kernel_initializer, self.bias_initializer
        )
        if self.retains:
            self.old_kernel = self.shared_weight(
                "old_kernel", kernel_shape, "zeros", trainable=False
            )
            # 1 if `old_kernel` is what earlier tasks learned.
            self.retained = self.shared_weight(
                "retained", (), "zeros", trainable=False
            )
        self.mask, self.tau = (
            self.task_weight(
                name,
                kernel_shape,
                keras.initializers.TruncatedNormal(stddev=self.initial_stddev),
            )
            for name in ("mask", "tau")
        )

    def pair(self) -> tuple[Tensor, Tensor | None]:
        gates = keras.ops.sigmoid(keras.ops.convert_to_tensor(self.mask))
        return self.shared_kernel * gates + self.tau, self.bias

    def penalty(self) -> Tensor | None:
        """`mean |tau|`."""
        return keras.ops.mean(keras.ops.abs(self.tau))

    def retain(self, known: bool) -> None:
        """Keeps S as it is now; `known` says if an earlier task learned it."""
        self.old_kernel.assign(self.shared_kernel)
        self.retained.assign(float(known))

    def drift(self) -> Tensor:
        """`||S - S_old||^2 / (2 n)`, n weights; 0 before anything is known."""
        difference = keras.ops.subtract(self.shared_kernel, self.old_kernel)
        squares = keras.ops.square(difference)
        return 0.5 * self.retained * keras.ops.mean(squares)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "initial_stddev": self.initial_stddev,
            "retains": self.retains,
        }
