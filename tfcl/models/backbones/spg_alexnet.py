"""The AlexNet of SPG, for images of any size."""

from __future__ import annotations

import typing

import gin
import keras

from tfcl.layers.fan_in_uniform import FanInUniform
from tfcl.layers.fast.dropped_max_pooling2d import DroppedMaxPooling2D
from tfcl.layers.fast.half_word_dropout import HalfWordDropout
from tfcl.layers.fast.sliced_cropping2d import SlicedCropping2D

if typing.TYPE_CHECKING:
    from tfcl.types import Shape


@gin.configurable(denylist=["image_shape"])
def spg_alexnet(
    image_shape: Shape,
    early_dropout: float = 0.0,
    late_dropout: float = 0.0,
    channels: tuple = (64, 128, 256),
    hidden_units: tuple = (2048, 2048),
) -> keras.Model:
    """Three times convolution, ReLU, dropout, max-pool; dense layers on top.

    Convolutions have stride 1 and no padding; their kernels have the sides
    `floor(side / 8)`, `floor(side / 10)` and 2 of the image's side. Pools
    are 2 x 2 with stride 2. 32 x 32 pixels: kernels 4, 3 and 2, 1,024
    features before the dense layers, 6,503,872 parameters.

    Args:
        image_shape: `(height, width, channels)` of the input.
        early_dropout: p1, share dropped after the first two convolutions.
        late_dropout: p2, after the third and after every dense layer.
        channels: Of the three convolutions.
        hidden_units: Units of the dense layers; 2048 is `nhid`.

    Returns:
        A functional `keras.Model`: `(batch, height, width, channels)` to
        `(batch, features)`. Kernels and biases start as in PyTorch.

    Raises:
        ValueError: If there are not three `channels`, or the image is too
            small for the kernels.

    Reference:
        Konishi et al., "Parameter-Level Soft-Masking for Continual
        Learning", ICML 2023, and its program; the network goes back to Serra
        et al., "Overcoming catastrophic forgetting with hard attention to
        the task", ICML 2018.
    """
    if len(channels) != 3:
        raise ValueError(
            "Argument `channels` must have three entries. "
            f"Received: channels={channels}"
        )
    sides = _kernel_sides(image_shape)
    rates = (early_dropout, early_dropout, late_dropout)
    hidden = inputs = keras.Input(image_shape)
    for depth, (filters, side, rate) in enumerate(zip(channels, sides, rates)):
        fan_in = side[0] * side[1] * hidden.shape[-1]
        hidden = _without_the_unpooled(hidden, side, f"crop_{depth}")
        hidden = keras.layers.Conv2D(
            filters, side, **_start(fan_in), name=f"conv_{depth}"
        )(hidden)
        hidden = DroppedMaxPooling2D(rate, name=f"pool_{depth}")(hidden)
        # Paper: ReLU, dropout, pool. The largest of four is the same before
        # and after ReLU, and so are its gradients; here it has a quarter to do.
        hidden = keras.layers.ReLU(name=f"relu_{depth}")(hidden)
    hidden = keras.layers.Flatten(name="flatten")(hidden)
    for depth, units in enumerate(hidden_units):
        hidden = keras.layers.Dense(
            units,
            activation="relu",
            **_start(hidden.shape[-1]),
            name=f"dense_{depth}",
        )(hidden)
        hidden = _dropped(hidden, late_dropout, f"dense_dropout_{depth}")
    return keras.Model(inputs, hidden, name="spg_alexnet")


def _start(fan_in):
    return {
        "kernel_initializer": FanInUniform(),
        "bias_initializer": FanInUniform(fan_in),
    }


def _dropped(hidden, rate, name):
    return HalfWordDropout(rate, name=name)(hidden) if rate else hidden


def _without_the_unpooled(hidden, side, name):
    """Leaves out the last row and column if they end in no pool's window."""
    odd = [(n - k + 1) % 2 for n, k in zip(hidden.shape[1:3], side)]
    if not any(odd):
        return hidden
    crop = tuple((0, rest) for rest in odd)
    return SlicedCropping2D(crop, name=name)(hidden)


def _kernel_sides(image_shape):
    """(height, width) of each convolution's kernel."""
    sides = [tuple(n // k for n in image_shape[:2]) for k in (8, 10)]
    sides.append((2, 2))
    for axis, size in enumerate(image_shape[:2]):
        left = size
        for side in sides:
            kernel = side[axis]
            left = (left - kernel + 1) // 2 if kernel else 0
            if left < 1:
                raise ValueError(
                    "Argument `image_shape` must leave something for the "
                    "last pool: images of 12 x 12 pixels or more. "
                    f"Received: image_shape={tuple(image_shape)}"
                )
    return sides
