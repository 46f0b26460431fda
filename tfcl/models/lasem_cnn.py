"""The plain convolutional networks of the LASEM line."""

import gin
import keras


@gin.configurable(denylist=["image_shape"])
def lasem_cnn(
    image_shape,
    channels: tuple = (32, 32, 64, 64),
    kernel_sizes: tuple = (3, 3, 3, 3),
    pool_sizes: tuple = (1, 2, 1, 2),
    initial_stddev: float = 0.05,
    initial_bias: float = 0.2,
    padding: str = "same",
):
    """Convolution, ReLU and max-pool per layer, then flattened features.

    Args:
        image_shape: `(height, width, channels)` of the input.
        channels: Output channels of each layer.
        kernel_sizes: Side of each layer's square kernel.
        pool_sizes: Side and stride of each layer's max-pool; 1 skips it.
        initial_stddev: Deviation of the truncated normal start kernels.
        initial_bias: Start value of the biases.
        padding: "same" or "valid", for convolution and pool.

    Returns:
        A functional `keras.Model`: `(batch, height, width, channels)` to
        `(batch, features)`.

    Raises:
        ValueError: If the three tuples differ in length.

    Reference:
        Lee, Behpour, Eaton, ICML 2021; sizes of their CIFAR-100 network by
        default (kernels N(0, 0.05^2) truncated at two deviations, biases
        0.2).
    """
    if not len(channels) == len(kernel_sizes) == len(pool_sizes):
        raise ValueError(
            "Arguments `channels`, `kernel_sizes` and `pool_sizes` must have "
            f"one entry per layer. Received: channels={channels}, "
            f"kernel_sizes={kernel_sizes}, pool_sizes={pool_sizes}"
        )
    inputs = keras.Input(image_shape)
    hidden = inputs
    for depth, (filters, side, pool) in enumerate(
        zip(channels, kernel_sizes, pool_sizes)
    ):
        hidden = keras.layers.Conv2D(
            filters,
            side,
            padding=padding,
            activation="relu",
            kernel_initializer=keras.initializers.TruncatedNormal(
                stddev=initial_stddev
            ),
            bias_initializer=keras.initializers.Constant(initial_bias),
            name=f"conv_{depth}",
        )(hidden)
        if pool > 1:
            hidden = keras.layers.MaxPooling2D(
                pool, padding=padding, name=f"pool_{depth}"
            )(hidden)
    features = keras.layers.Flatten(name="features")(hidden)
    return keras.Model(inputs, features, name="lasem_cnn")
