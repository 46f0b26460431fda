"""Tucker factorisation: a shared core, four square factors per task."""

from __future__ import annotations

import typing

import keras

from tfcl.layers.transfer.kernel_generator import KernelGenerator

if typing.TYPE_CHECKING:
    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class TuckerKernel(KernelGenerator):
    """Kernel = core contracted with one square factor per axis.

    `W[a,b,c,d] = sum core[h,w,i,j] U1[h,a] U2[w,b] U3[i,c] U4[j,d]`. The core
    has the kernel's shape and is trained by every task; factors and bias
    belong to the task. `penalty` is `sum_k ||U_k^T U_k - I||_F`, the norm and
    not its square.

    Reference:
        Bulat et al., "Incremental multi-domain learning with network latent
        tensor factorization", AAAI 2020, in the form of Lee, Behpour, Eaton,
        ICML 2021, where the core goes on training.
    """

    prefix = "tucker"

    def make_weights(self, kernel_shape: Shape) -> None:
        glorot = "glorot_uniform"
        self.core = self.shared_weight("core", kernel_shape, glorot)
        names = ("height", "width", "input", "output")
        self.factors = [
            self.task_weight(f"factor_{name}", (size, size), glorot)
            for name, size in zip(names, kernel_shape)
        ]
        self.bias = None
        if self.use_bias:
            self.bias = self.task_weight("bias", kernel_shape[-1:], glorot)

    def pair(self) -> tuple[Tensor, Tensor | None]:
        kernel = keras.ops.convert_to_tensor(self.core)
        for factor in self.factors:
            # Contracts the first axis left and appends the factor's second:
            # after four times the axes stand in their old order.
            kernel = keras.ops.tensordot(kernel, factor, axes=[[0], [0]])
        return kernel, self.bias

    def penalties(self) -> list[Tensor]:
        """`||U^T U - I||_F` of each factor."""
        return [_distance_from_orthogonal(u) for u in self.factors]

    def penalty(self) -> Tensor | None:
        return sum(self.penalties())


def _distance_from_orthogonal(factor):
    gram = keras.ops.matmul(keras.ops.transpose(factor), factor)
    difference = gram - keras.ops.eye(factor.shape[0], dtype=gram.dtype)
    squared = keras.ops.sum(keras.ops.square(difference))
    # The norm has no gradient at 0, where the factor is orthogonal: give 0.
    zero = keras.ops.equal(squared, 0.0)
    safe = keras.ops.where(zero, keras.ops.ones_like(squared), squared)
    return keras.ops.where(zero, squared, keras.ops.sqrt(safe))
