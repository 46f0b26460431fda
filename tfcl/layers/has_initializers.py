"""Layers whose kernels and biases start as the user likes."""

from __future__ import annotations

import typing

import keras

if typing.TYPE_CHECKING:
    from typing import Any

    from keras.layers import Layer as _Layer
else:
    _Layer = object


class HasInitializers(_Layer):
    """Mixin, to be named before the Keras class.

    Args:
        kernel_initializer: For all kernels.
        bias_initializer: For all biases.
        **kwargs: Of the next class.
    """

    def __init__(
        self,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "kernel_initializer": serialize(self.kernel_initializer),
            "bias_initializer": serialize(self.bias_initializer),
        }
