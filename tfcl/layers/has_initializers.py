"""Layers whose kernels and biases start as the user likes."""

import keras


class HasInitializers:
    """Mixin, to be named before the Keras class.

    Args:
        kernel_initializer: For all kernels.
        bias_initializer: For all biases.
        **kwargs: Of the next class.
    """

    def __init__(
        self,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def get_config(self):
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "kernel_initializer": serialize(self.kernel_initializer),
            "bias_initializer": serialize(self.bias_initializer),
        }
