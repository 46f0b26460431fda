"""A convolution whose kernel comes out of a transfer mechanism."""

import keras

from tfcl.layers.pair_conv2d import PairConv2D
from tfcl.layers.transfer.hard_kernel import HardKernel


@keras.saving.register_keras_serializable(package="tfcl")
class TransferConv2D(PairConv2D):
    """2-D convolution with a generated kernel.

    `y = activation(conv(x, W) + b)`, where a `KernelGenerator` computes
    `(W, b)` from shared variables and the task's own: `TuckerKernel`,
    `DeconvKernel` or, without argument, `HardKernel` (an ordinary kernel).

    Args:
        filters: Number of output channels.
        kernel_size: Integer or pair.
        generator: `KernelGenerator`, not built.
        **kwargs: As for `keras.layers.Conv2D`; the initializers are those of
            a `HardKernel`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: as `keras.layers.Conv2D`.
    """

    def __init__(self, filters, kernel_size, generator=None, **kwargs):
        super().__init__(filters, kernel_size, **kwargs)
        if generator is None:
            generator = HardKernel(
                self.kernel_initializer, self.bias_initializer
            )
        generator.use_bias = self.use_bias
        self.generator = generator

    def build(self, input_shape):
        self.build_generator(self.full_kernel_shape(input_shape))
        self.built = True

    def build_generator(self, kernel_shape):
        """Builds the generator, unless a saved one came built."""
        if not self.generator.built:
            self.generator.build(kernel_shape)

    def full_kernel_shape(self, input_shape):
        """`(height, width, in, out)` of the kernel."""
        channels = input_shape[self.channel_axis]
        return self.kernel_size + (channels // self.groups, self.filters)

    @property
    def effective_pair(self):
        """Kernel and bias (None without) for the active task."""
        return self.generator.pair()

    def call(self, inputs):
        return self.apply_pair(inputs, *self.effective_pair)

    def owned_variables(self):
        """`(name, variable, initializer)` of each variable."""
        return self.generator.owned_variables()

    def lower(self):
        """The plain `Conv2D` of the active task, and its weights."""
        config = keras.layers.Conv2D.get_config(self)
        pair = [v for v in self.effective_pair if v is not None]
        weights = [keras.ops.convert_to_numpy(v) for v in pair]
        return keras.layers.Conv2D.from_config(config), weights

    def get_config(self):
        generator = keras.saving.serialize_keras_object(self.generator)
        return {**super().get_config(), "generator": generator}

    @classmethod
    def from_config(cls, config):
        generator = config.get("generator")
        if isinstance(generator, dict):
            generator = keras.saving.deserialize_keras_object(generator)
        return cls(**{**config, "generator": generator})
