"""DF-CNN: kernels deconvolved out of a small shared knowledge base."""

from __future__ import annotations

import typing
from typing import Annotated

import keras
import tensorflow as tf

from tfcl.arguments import checked, one_of
from tfcl.layers.transfer.kernel_generator import KernelGenerator

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


TENSORDOT = "tensordot"
DIRECT = "direct"
TWO_CONTRACTIONS = "tc2"


@keras.saving.register_keras_serializable(package="tfcl")
class DeconvKernel(KernelGenerator):
    """Kernel = contraction of a transposed convolution of the shared base.

    `D = conv2d_transpose(base, filter, stride 2, same) + deconv bias`, of the
    kernel's height and width, then by `variant`:

    - "tensordot": base `(1, h, h, c_kb)`; `W[p,q,i,o] = sum_t D[p,q,t]
      K[t,i,o]`, no activation;
    - "direct": base `(1, h, h, c_kb)`; D has in * out channels and
      `W = reshape(relu(D))`;
    - "tc2": base `(d, h, h, c_kb)`; `W[p,q,i,o] = sum_{d,t} relu(D)[d,p,q,t]
      P[d,i] Q[t,o]`.

    The base is trained by every task; all else belongs to the task.

    Args:
        base_side: h; the kernel's side must be 2 (h - 1) + 1 or 2 (h - 1) + 2
            less one, i.e. `ceil(side / 2) == h`.
        base_channels: c_kb.
        filter_side: t, side of the deconvolution filter.
        filter_channels: c_ts, channels after the deconvolution; unused by
            "direct".
        base_depth: d, for "tc2".
        variant: See above.
        activation: None takes the variant's own ("tensordot" none, the others
            ReLU); "relu" or "linear" set it.

    Raises:
        ValueError: If a size does not fit the kernel.

    Reference:
        Lee, Stokes, Eaton, "Learning shared knowledge for deep lifelong
        learning using deconvolutional networks", IJCAI 2019.
    """

    prefix = "deconv"

    @checked
    def __init__(
        self,
        base_side: int,
        base_channels: int,
        filter_side: int = 3,
        filter_channels: int | None = None,
        base_depth: int = 1,
        variant: Annotated[
            str, one_of(TENSORDOT, DIRECT, TWO_CONTRACTIONS)
        ] = TENSORDOT,
        activation: str | None = None,
        **kwargs,
    ):
        if variant != DIRECT and not filter_channels:
            raise ValueError(
                f"Argument `filter_channels` is needed for '{variant}'. "
                f"Received: filter_channels={filter_channels}"
            )
        super().__init__(**kwargs)
        self.base_side = base_side
        self.base_channels = base_channels
        self.filter_side = filter_side
        self.filter_channels = filter_channels
        self.base_depth = base_depth
        self.variant = variant
        if activation is None:
            activation = "linear" if variant == TENSORDOT else "relu"
        self.activation = keras.activations.get(activation)

    def make_weights(self, kernel_shape: Shape) -> None:
        height, width, inputs, outputs = kernel_shape
        if height != width or -(-height // 2) != self.base_side:
            raise ValueError(
                "Argument `base_side` must be half of the kernel's side, "
                "rounded up, and the kernel square. Received: "
                f"base_side={self.base_side} for a kernel "
                f"{height}x{width}"
            )
        glorot = "glorot_uniform"
        depth = self.base_depth if self.variant == TWO_CONTRACTIONS else 1
        side, channels = self.base_side, self.base_channels
        middle = self.filter_channels
        if self.variant == DIRECT:
            middle = inputs * outputs
        self.base = self.shared_weight(
            "base", (depth, side, side, channels), glorot
        )
        t = self.filter_side
        self.filter = self.task_weight(
            "filter", (t, t, middle, channels), glorot
        )
        self.filter_bias = self.task_weight(
            "filter_bias", (1, 1, 1, middle), glorot
        )
        self.contractions = []
        shapes: dict[str, Shape] = {}
        if self.variant == TENSORDOT:
            shapes = {"contraction": (middle, inputs, outputs)}
        elif self.variant == TWO_CONTRACTIONS:
            shapes = {
                "contraction_input": (depth, inputs),
                "contraction_output": (middle, outputs),
            }
        for name, shape in shapes.items():
            self.contractions.append(self.task_weight(name, shape, glorot))
        self.bias = None
        if self.use_bias:
            self.bias = self.task_weight("bias", (outputs,), glorot)

    def deconvolved(self) -> Tensor:
        """D `(d, height, width, channels)` before the activation."""
        base = keras.ops.convert_to_tensor(self.base)
        weights = keras.ops.convert_to_tensor(self.filter)
        height, width = self.kernel_shape[:2]
        shape = (base.shape[0], height, width, weights.shape[2])
        grown = tf.nn.conv2d_transpose(
            base, weights, shape, strides=2, padding="SAME"
        )
        return keras.ops.add(grown, self.filter_bias)

    def pair(self) -> tuple[Tensor, Tensor | None]:
        grown = self.activation(self.deconvolved())
        if self.variant == DIRECT:
            kernel = keras.ops.reshape(grown, self.kernel_shape)
        elif self.variant == TENSORDOT:
            kernel = keras.ops.tensordot(
                grown[0], self.contractions[0], axes=[[2], [0]]
            )
        else:
            kernel = keras.ops.einsum(
                "dabt,di,to->abio", grown, *self.contractions
            )
        return kernel, self.bias

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "base_side": self.base_side,
            "base_channels": self.base_channels,
            "filter_side": self.filter_side,
            "filter_channels": self.filter_channels,
            "base_depth": self.base_depth,
            "variant": self.variant,
            "activation": keras.activations.serialize(self.activation),
        }
