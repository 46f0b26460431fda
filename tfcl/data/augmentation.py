"""Random changes of training images, drawn anew for every example and step.

An augmentation is a function `augmentation(images, draws, black, white)` inside
a traced step, where

- `images` are `(b, height, width, channels)`, standardised float32 or uint8;
  the result has their shape and dtype;
- `draws` is a `Draws`;
- `black` is what a black pixel is in `images`, `(b, channels)`; None means 0;
- `white` is what a white one is; None means 255 in uint8 images, else 1.

Nothing here has variables, and all numbers come from the step's seed: a run
that is resumed draws what it would have drawn.
"""

from __future__ import annotations

import typing
from typing import Annotated

import gin
import numpy as np
import tensorflow as tf

from tfcl.arguments import (
    NonNegativeFloat,
    NonNegativeInt,
    checked,
    one_of,
    within,
)
from tfcl.data.random_areas import AREA_DRAWS, area_lengths, check_areas

if typing.TYPE_CHECKING:
    from tfcl.types import Tensor


# Keeps the draws apart from those of dropout, which start at the same seed.
_APART = 0x5EED


class Draws:
    """Random numbers of one step, one row per example.

    An example gets the same numbers whatever the number of replicas: they are
    drawn for the global batch, and a replica takes the rows of its examples.

    Args:
        seed: int32 pair, the seed of the step.
        positions: Place of each example in the global batch, int32 `(b,)`.
        size: Examples in the global batch, int32 scalar.
    """

    def __init__(self, seed: Tensor, positions: Tensor, size: Tensor):
        self._seed = tf.random.experimental.stateless_fold_in(seed, _APART)
        self._positions = positions
        self._size = size
        self._calls = 0

    def uniform(self, count: int) -> Tensor:
        """Independent numbers in [0, 1), float32 `(b, count)`, new each call.

        Calls are told apart by their order, so that the same sequence of
        augmentations draws the same numbers.
        """
        seed = tf.random.experimental.stateless_fold_in(self._seed, self._calls)
        self._calls += 1
        everyone = tf.random.stateless_uniform([self._size, count], seed)
        return tf.gather(everyone, self._positions)

    def integers(self, limits: Tensor) -> Tensor:
        """Whole numbers 0 .. limit - 1, int32, in the shape of `limits`.

        Args:
            limits: int32 `(b, count)`, all at least 1.
        """
        wanted = tf.cast(limits, tf.float32)
        drawn = tf.cast(self.uniform(limits.shape[-1]) * wanted, tf.int32)
        # The product may be rounded up to the limit itself.
        return tf.minimum(drawn, limits - 1)


@gin.configurable
class Compose:
    """Augmentations one after another.

    Args:
        augmentations: List or tuple of them.
    """

    @checked
    def __init__(self, augmentations: list | tuple = ()):
        for each in augmentations:
            if not callable(each):
                raise ValueError(
                    "Argument `augmentations` must hold augmentations such as "
                    "RandomFlip() (in gin: @RandomFlip(), with brackets). "
                    f"Received: {each!r}"
                )
        self.augmentations = tuple(augmentations)

    def __call__(
        self,
        images: Tensor,
        draws: Draws,
        black: Tensor | None = None,
        white: Tensor | None = None,
    ) -> Tensor:
        for each in self.augmentations:
            images = each(images, draws, black, white)
        return images


@gin.configurable
class RandomFlip:
    """Mirrors an image left to right.

    Args:
        probability: Of an example to be mirrored, in [0, 1].
    """

    @checked
    def __init__(self, probability: Annotated[float, within("[0, 1]")] = 0.5):
        self.probability = probability

    def __call__(
        self,
        images: Tensor,
        draws: Draws,
        black: Tensor | None = None,
        white: Tensor | None = None,
    ) -> Tensor:
        flipped = draws.uniform(1) < self.probability
        return tf.where(
            flipped[:, :, None, None], tf.reverse(images, [2]), images
        )


@gin.configurable
class PadAndCrop:
    """Shifts an image: black borders all around, then a crop of its size.

    All `(2 padding + 1)^2` places of the crop are equally likely.

    Args:
        padding: Width of each border, in pixels.

    Reference:
        He, Zhang, Ren, Sun, CVPR 2016, sec. 4.2. The border is black before
        standardising, as in the program of Hung et al., NeurIPS 2019 (CPG).
    """

    @checked
    def __init__(self, padding: NonNegativeInt = 4):
        self.padding = padding

    def __call__(
        self,
        images: Tensor,
        draws: Draws,
        black: Tensor | None = None,
        white: Tensor | None = None,
    ) -> Tensor:
        height, width = tuple(images.shape[1:3])
        count = tf.shape(images)[0]
        places = draws.integers(tf.fill([count, 2], 2 * self.padding + 1))
        shifts = places - self.padding
        rows = shifts[:, :1] + tf.range(height)
        columns = shifts[:, 1:] + tf.range(width)
        moved = _taken(images, rows, 1, height)
        moved = _taken(moved, columns, 2, width)
        inside = _within(rows, height)[:, :, None]
        inside &= _within(columns, width)[:, None, :]
        return tf.where(inside[..., None], moved, _as_pixels(black, images))


@gin.configurable
class RandomResizedCrop:
    """Magnifies a random part of an image to the whole.

    The part's area is uniform in `scale`, the logarithm of its aspect ratio
    uniform in the logarithms of `ratio`; what does not fit into the image is
    drawn again, 10 times at most. Then the largest part in the middle whose
    ratio is allowed is taken.

    Args:
        scale: Smallest and largest area, as fractions of the image's.
        ratio: Smallest and largest width / height of the part.
        interpolation: "bilinear" or "bicubic", as in Pillow.

    Note:
        The part comes out of an image that has the network's size already.
        The published programs crop the file's pixels and then resize: so does
        `tfcl.data.training_crops.RandomAreaCrop`, for streams that offer
        `train_crop`. Take one of the two.
        Grey levels are not rounded; those of bicubic interpolation may leave
        the range between black and white beside sharp edges (uint8 images
        are rounded and clipped).

    Reference:
        Szegedy et al., CVPR 2015; rule and defaults of torchvision.
    """

    @checked
    def __init__(
        self,
        scale: list | tuple = (0.08, 1.0),
        ratio: list | tuple = (3 / 4, 4 / 3),
        interpolation: Annotated[
            str, one_of("bilinear", "bicubic")
        ] = "bilinear",
    ):
        check_areas(scale, ratio)
        self.scale = tuple(scale)
        self.ratio = tuple(ratio)
        self.interpolation = interpolation

    def __call__(
        self,
        images: Tensor,
        draws: Draws,
        black: Tensor | None = None,
        white: Tensor | None = None,
    ) -> Tensor:
        size = tuple(images.shape[1:3])
        drawn = draws.uniform(AREA_DRAWS)
        lengths = area_lengths(drawn, size, self.scale, self.ratio)
        starts = draws.integers(tf.constant(size) - lengths + 1)
        kernel = _KERNELS[self.interpolation]
        pixels = tf.cast(images, tf.float32)
        for axis, equation in ((0, "boh,bhwc->bowc"), (1, "bow,bhwc->bhoc")):
            weights = _magnifying(
                starts[:, axis], lengths[:, axis], size[axis], kernel
            )
            pixels = tf.einsum(equation, weights, pixels)
        if images.dtype == tf.uint8:
            pixels = tf.clip_by_value(tf.round(pixels), 0.0, 255.0)
        return tf.cast(pixels, images.dtype)


@gin.configurable
class Cutout:
    """Covers a square with the mean colour (0 after standardising).

    The centre is uniform over the image; what lies outside is cut off.

    Args:
        side: Side of the square, in pixels.

    Reference:
        DeVries and Taylor, arXiv:1708.04552; 16 in the fine-grained tasks of
        Hung et al., NeurIPS 2019 (CPG).
    """

    @checked
    def __init__(self, side: NonNegativeInt = 16):
        self.side = side

    def __call__(
        self,
        images: Tensor,
        draws: Draws,
        black: Tensor | None = None,
        white: Tensor | None = None,
    ) -> Tensor:
        height, width = tuple(images.shape[1:3])
        count = tf.shape(images)[0]
        limits = tf.tile([[height, width]], [count, 1])
        first = draws.integers(limits) - self.side // 2
        rows = tf.range(height) - first[:, :1]
        columns = tf.range(width) - first[:, 1:]
        covered = _within(rows, self.side)[:, :, None]
        covered &= _within(columns, self.side)[:, None, :]
        return tf.where(covered[..., None], tf.zeros_like(images), images)


@gin.configurable
class BrightnessJitter:
    """Makes an image brighter or darker.

    Its pixels, 0 for black and 1 for white, are multiplied by a factor that
    is uniform in `[max(0, 1 - brightness), 1 + brightness]`, and cut off at
    white.

    Args:
        brightness: Half the width of that interval, at least 0.

    Note:
        Grey levels of float images are not rounded.

    Reference:
        `ColorJitter(brightness)` of torchvision; 63 / 255 in the program of
        Tiezzi et al., CoLLAs 2024, and in that of SLCA.
    """

    @checked
    def __init__(self, brightness: NonNegativeFloat = 63 / 255):
        self.brightness = brightness

    def __call__(
        self,
        images: Tensor,
        draws: Draws,
        black: Tensor | None = None,
        white: Tensor | None = None,
    ) -> Tensor:
        if self.brightness == 0.0:
            return images
        low, high = max(0.0, 1.0 - self.brightness), 1.0 + self.brightness
        factor = low + (high - low) * draws.uniform(1)[:, :, None, None]
        pixels = tf.cast(images, tf.float32)
        dark = tf.zeros([]) if black is None else black[:, None, None]
        if white is None:
            bright = tf.constant(255.0 if images.dtype == tf.uint8 else 1.0)
        else:
            bright = white[:, None, None]
        pixels = tf.clip_by_value(dark + factor * (pixels - dark), dark, bright)
        if images.dtype == tf.uint8:
            pixels = tf.round(pixels)
        return tf.cast(pixels, images.dtype)


def _as_pixels(black, images):
    """Black of each example, to be broadcast over its pixels."""
    if black is None:
        return tf.zeros([], images.dtype)
    return tf.cast(black, images.dtype)[:, None, None]


def _taken(images, indices, axis, length):
    """Rows or columns of each example; outside, those at the edge."""
    indices = tf.clip_by_value(indices, 0, length - 1)
    return tf.gather(images, indices, axis=axis, batch_dims=1)


def _within(indices, length):
    return (indices >= 0) & (indices < length)


def _bilinear(distance):
    return tf.maximum(1.0 - distance, 0.0)


def _bicubic(distance):
    # Keys' kernel with a = -1/2, as in Pillow.
    near = (1.5 * distance - 2.5) * distance**2 + 1.0
    far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    far = tf.where(distance < 2.0, far, 0.0)
    return tf.where(distance < 1.0, near, far)


_KERNELS = {"bilinear": _bilinear, "bicubic": _bicubic}


def _magnifying(start, length, size, kernel):
    """Weights `(b, size, size)` from pixels to those of a magnified part.

    Like Pillow's resizing of a cut-out part: nothing outside the part counts,
    and weights add up to 1.
    """
    start = tf.cast(start, tf.float32)[:, None, None]
    length = tf.cast(length, tf.float32)[:, None, None]
    centres = np.arange(size, dtype=np.float32) + 0.5
    wanted = start + centres[None, :, None] * length / size
    given = centres[None, None, :]
    inside = (given > start) & (given < start + length)
    weights = tf.where(inside, kernel(tf.abs(wanted - given)), 0.0)
    return weights / tf.reduce_sum(weights, -1, keepdims=True)
