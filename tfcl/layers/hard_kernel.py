"""Hard-parameter sharing: the shared kernel is the kernel."""

import keras

from tfcl.layers.kernel_generator import KernelGenerator


@keras.saving.register_keras_serializable(package="tfcl")
class HardKernel(KernelGenerator):
    """A kernel and a bias that all tasks use as they are.

    Args:
        kernel_initializer: For the kernel.
        bias_initializer: For the bias.
    """

    prefix = "shared"

    def __init__(
        self,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def make_weights(self, kernel_shape):
        self.kernel = self.shared_weight(
            "kernel", kernel_shape, self.kernel_initializer
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.shared_weight(
                "bias", kernel_shape[-1:], self.bias_initializer
            )

    def pair(self):
        return self.kernel, self.bias

    def adopt(self, weights):
        for variable, value in zip(self.shared_variables, weights):
            variable.assign(value)

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "bias_initializer": keras.initializers.serialize(
                self.bias_initializer
            ),
        }
