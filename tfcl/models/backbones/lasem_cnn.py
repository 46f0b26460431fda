"""The plain convolutional networks of the LASEM line."""

from __future__ import annotations

import math
import typing

import gin
import keras

from tfcl.models.width import Width

if typing.TYPE_CHECKING:
    from tfcl.types import Shape


# `--skip_connect_test_type` of the LASEM programs, by number of layers. For
# six layers it has nine sets of single-layer skips, which are not known to us.
_SKIP_PRESETS = {
    4: {1: ((1, 1),), 2: ((3, 3),), 3: ((1, 1), (3, 3))},
    8: {1: ((1, 1), (3, 3), (5, 5), (7, 7))},
}


@gin.configurable(denylist=["image_shape"])
def lasem_cnn(
    image_shape: Shape,
    channels: tuple = (32, 32, 64, 64),
    kernel_sizes: tuple = (3, 3, 3, 3),
    pool_sizes: tuple = (1, 2, 1, 2),
    initial_stddev: float = 0.05,
    initial_bias: float = 0.2,
    padding: str = "same",
    skips: tuple | int = (),
    width: float = 1.0,
) -> keras.Model:
    """Convolution, ReLU and max-pool per layer, then flattened features.

    Args:
        image_shape: `(height, width, channels)` of the input.
        channels: Output channels of each layer.
        kernel_sizes: Side of each layer's square kernel.
        pool_sizes: Side and stride of each layer's max-pool; 1 skips it.
        initial_stddev: Deviation of the truncated normal start kernels.
        initial_bias: Start value of the biases.
        padding: "same" or "valid", for convolution and pool.
        skips: Residual connections as pairs `(first, last)` of layers, from 0:
            what enters layer `first` is added to what leaves layer `last`,
            after its activation and before its pool, and max-pooled before
            if pools lie between. Or a skip test type of the LASEM programs:
            1 to 3 for 4 layers, 1 for 8. 0 and () make none.
        width: q, multiple of the parameters; `floor(v sqrt(q))` channels in
            place of v, for methods that let a network grow.

    Returns:
        A functional `keras.Model`: `(batch, height, width, channels)` to
        `(batch, features)`.

    Raises:
        ValueError: If the three tuples differ in length, `width` is not
            positive, or a skip leads backwards, out of the network, or to
            other channels or sides.

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
    pairs = _skips(skips, len(channels))
    scaled = Width(width)
    inputs = keras.Input(image_shape)
    hidden, entering = inputs, []
    for depth, (filters, side, pool) in enumerate(
        zip(channels, kernel_sizes, pool_sizes)
    ):
        entering.append(hidden)
        hidden = keras.layers.Conv2D(
            scaled(filters),
            side,
            padding=padding,
            activation="relu",
            kernel_initializer=keras.initializers.TruncatedNormal(
                stddev=initial_stddev
            ),
            bias_initializer=keras.initializers.Constant(initial_bias),
            name=f"conv_{depth}",
        )(hidden)
        for first, last in pairs:
            if last == depth:
                # One pool with the product of the strides between: padded,
                # it covers what they cover one after the other.
                between = math.prod(pool_sizes[first:last])
                hidden = _add(hidden, entering[first], between, (first, last))
        if pool > 1:
            hidden = keras.layers.MaxPooling2D(
                pool, padding=padding, name=f"pool_{depth}"
            )(hidden)
    features = keras.layers.Flatten(name="features")(hidden)
    return keras.Model(inputs, features, name="lasem_cnn")


def _skips(skips, num_layers):
    """Pairs of layers, out of pairs or a test type."""
    if isinstance(skips, int):
        presets = {0: (), **_SKIP_PRESETS.get(num_layers, {})}
        if skips not in presets:
            raise ValueError(
                "Argument `skips` as a test type must be "
                f"{' or '.join(map(str, presets))} for {num_layers} layers; "
                "write pairs of layers for others, such as ((2, 2), (4, 4)). "
                f"Received: skips={skips}"
            )
        return presets[skips]
    for skip in skips:
        if len(skip) != 2 or not 0 <= skip[0] <= skip[1] < num_layers:
            raise ValueError(
                "Argument `skips` must hold pairs (first, last) with 0 <= "
                f"first <= last < {num_layers}, the number of layers. "
                f"Received: skips={skips}"
            )
    return skips


def _add(hidden, shortcut, pool, skip):
    name = f"skip_{skip[0]}_{skip[1]}"
    if pool > 1:
        shortcut = keras.layers.MaxPooling2D(
            pool, padding="same", name=f"{name}_pool"
        )(shortcut)
    if shortcut.shape != hidden.shape:
        raise ValueError(
            f"Argument `skips`: {tuple(skip)} would add maps "
            f"{tuple(shortcut.shape[1:])} to maps {tuple(hidden.shape[1:])} "
            "(height, width, channels). Skip between layers of equal channels, "
            "with padding='same'."
        )
    return keras.layers.Add(name=name)([hidden, shortcut])
