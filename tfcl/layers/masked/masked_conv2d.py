"""A convolution whose weights belong to tasks."""

from __future__ import annotations

import typing

import keras

from tfcl.layers.masked.masked_kernel import MaskedKernel
from tfcl.layers.pair_conv2d import PairConv2D

if typing.TYPE_CHECKING:
    from tfcl.types import Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class MaskedConv2D(MaskedKernel, PairConv2D):
    """2-D convolution with a `MaskedKernel`: `activation(x * W_eff + b)`.

    Args:
        filters: Number of output channels.
        kernel_size: Integer or pair.
        threshold, initial_score, picks: See `MaskedKernel`.
        **kwargs: As for `keras.layers.Conv2D`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: as `keras.layers.Conv2D`.
    """

    plain = keras.layers.Conv2D

    def call(
        self, inputs: Tensor, training: bool | None = None, picks: bool = True
    ) -> Tensor:
        kernel = self.effective_kernel(training, picks)
        return self.apply_pair(inputs, kernel, self.bias)
