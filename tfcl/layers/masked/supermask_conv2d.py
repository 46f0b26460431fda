"""A convolution with a supermask."""

from __future__ import annotations

import typing

import keras

from tfcl.layers.masked.supermask import Supermask
from tfcl.layers.pair_conv2d import PairConv2D

if typing.TYPE_CHECKING:
    from tfcl.types import Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class SupermaskConv2D(Supermask, PairConv2D):
    """2-D convolution with a `Supermask`: `activation(x * W_eff)`.

    Args:
        filters, kernel_size: As for `keras.layers.Conv2D`.
        share: See `Supermask`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: as `keras.layers.Conv2D`.
    """

    plain = keras.layers.Conv2D

    def call(self, inputs: Tensor) -> Tensor:
        return self.apply_pair(inputs, self.effective_kernel(), None)
