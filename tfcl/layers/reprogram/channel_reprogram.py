"""Reprogramming of a frozen feature map, channel by channel."""

from __future__ import annotations

import typing
from typing import Annotated

import keras
import numpy as np

from tfcl.arguments import Range, checked

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Lowered, Shape, Tensor

OddInt = Annotated[
    int, Range("of at least 1, odd", lambda size: size >= 1 and size % 2 == 1)
]
"""The side of a kernel that has a centre."""


def identity_filter(kernel_size: Any, channels: int) -> np.ndarray:
    """`(k, k, channels, 1)` float32: each channel passes as it is."""
    kernel = np.zeros((kernel_size, kernel_size, channels, 1), np.float32)
    kernel[kernel_size // 2, kernel_size // 2] = 1.0
    return kernel


@keras.saving.register_keras_serializable(package="tfcl")
class ChannelDirac(keras.initializers.Initializer):
    """Start value of a depthwise kernel that is the identity."""

    def __call__(self, shape: Shape, dtype: Any | None = None) -> Tensor:
        return keras.ops.convert_to_tensor(
            identity_filter(shape[0], shape[2]), dtype or "float32"
        )


@keras.saving.register_keras_serializable(package="tfcl")
class ChannelReprogram(keras.layers.Layer):
    """Re-maps each channel of a frozen feature map with its own k x k filter.

    `y[i, j, c] = sum_uv R[u, v, c] z[i + u - k // 2, j + v - k // 2, c]`, z
    being 0 outside its map. Starts as the identity, so that a new task begins
    from the frozen network. Adds `k * k * channels` weights per task, and
    neither bias nor activation.

    Args:
        kernel_size: k, odd and positive, in pixels.

    Input shape: `(batch, height, width, channels)`, any height and width.
    Output shape: same as the input.

    Raises:
        ValueError: If `kernel_size` is even or not positive.

    Reference:
        Ge et al., "CLR: Channel-wise Lightweight Reprogramming for Continual
        Learning", ICCV 2023, section 3.
    """

    @checked
    def __init__(self, kernel_size: OddInt = 3, **kwargs):
        super().__init__(**kwargs)
        self.kernel_size = kernel_size
        self.kernel_initializer = ChannelDirac()

    def build(self, input_shape: Shape) -> None:
        size = self.kernel_size
        self.kernel = self.add_weight(
            name="kernel",
            shape=(size, size, input_shape[-1], 1),
            initializer=self.kernel_initializer,
        )
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        return keras.ops.depthwise_conv(
            inputs, self.kernel, padding="same", data_format="channels_last"
        )

    def filter_value(self) -> Tensor:
        """R as it acts now, `(k, k, channels, 1)`."""
        return self.kernel.numpy()

    def lower(self) -> Lowered:
        """The plain Keras layer that does the same, and its weights."""
        return lowered_filter(self, self.filter_value())

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernel_size": self.kernel_size}


def lowered_filter(layer: keras.layers.Layer, kernel: Tensor) -> Lowered:
    """A `DepthwiseConv2D` in place of a reprogramming layer.

    Args:
        layer: The layer, for name and precision.
        kernel: `(k, k, channels, 1)`.
    """
    plain = keras.layers.DepthwiseConv2D(
        kernel.shape[0],
        padding="same",
        use_bias=False,
        data_format="channels_last",
        name=layer.name,
        dtype=layer.dtype_policy,
    )
    return plain, [kernel]
