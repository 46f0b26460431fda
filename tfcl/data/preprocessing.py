"""From a user's image to the network's input."""

from __future__ import annotations

import dataclasses
import functools
import typing

import tensorflow as tf

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tfcl.types import Shape, Tensor


# Luma weights of ITU-R BT.601 times 2^16, as Pillow's conversion to grey uses
# them. Their sums with grey levels are below 2^24, so exact in float32.
_LUMA = (19595.0, 38470.0, 7471.0)


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Resizes, converts channels and standardises images of any size.

    Args:
        image_shape: `(height, width, channels)` of the result; channels is 1
            or 3.
        mean: Per-channel mean of pixels / 255.
        std: Per-channel deviation of pixels / 255.
        resize: "stretch" brings an image to the wanted shape as it is; "crop"
            keeps its proportions: resized until it just covers that shape,
            then cut to its middle. "bilinear" stretches it by a bilinear
            filter, as torchvision does by default. "centre_crop" covers a
            shape that is larger by 8/7 (256 pixels where 224 are wanted)
            before it cuts, as `Resize(256)` and `CenterCrop(224)` of
            torchvision do; "centre_crop_bilinear" by a bilinear filter.
        white: The number that is white in image files of more than 8 bits;
            None if the task has learned none. For those who open files, as
            the next is: a call takes 8 bits.
        two_channels: What to do with files of two channels, see
            `tfcl.data_builders.image_folders.image_file.Rules`.

    Call with a uint8 tensor `(batch, any height, any width, 1, 3 or 4
    channels)`; returns float32 `(batch, height, width, channels)`. Resizing
    is bicubic (unless the name says "bilinear") with antialiasing and rounded
    to whole grey levels after each of its two passes, as Pillow does it;
    opacity is dropped. An image of the wanted shape stays as it is, but for
    the "centre_crop" ways, which cut all images alike.
    """

    image_shape: tuple
    mean: tuple
    std: tuple
    resize: str = "stretch"
    white: float | None = None
    two_channels: str = "error"

    def __call__(self, images: Tensor) -> Tensor:
        return self.standardised(
            grey_levels(images, self.image_shape, self.resize)
        )

    def standardised(self, pixels: Tensor) -> Tensor:
        """The network's input from `grey_levels` of the images.

        Args:
            pixels: float32 `(batch, height, width, channels)`, 0 to 255.
        """
        # The order of operations of a training batch, to the last bit.
        mean = tf.constant(self.mean, tf.float32)
        std = tf.constant(self.std, tf.float32)
        # Always true, which a graph's optimiser cannot see: it would turn the
        # division by a constant into a product that ends in other bits.
        always = tf.reduce_all(pixels[:1, :1, :1, :1] >= 0.0)
        std = tf.where(always, std, tf.ones_like(std))
        return (pixels * tf.constant(1.0 / 255.0, tf.float32) - mean) / std

    def to_json(self) -> dict[str, Any]:
        files: dict[str, Any] = {}
        if self.white is not None:
            files["white"] = float(self.white)
        if self.two_channels != "error":
            files["two_channels"] = self.two_channels
        return files | {
            "image_shape": list(self.image_shape),
            "mean": [float(v) for v in self.mean],
            "std": [float(v) for v in self.std],
            "resize": self.resize,
        }

    @classmethod
    def from_json(cls, value: Any) -> Preprocessing:
        return cls(
            tuple(value["image_shape"]),
            tuple(value["mean"]),
            tuple(value["std"]),
            # Tasks banked before there was a choice.
            value.get("resize", "stretch"),
            value.get("white"),
            value.get("two_channels", "error"),
        )


def grey_levels(
    images: Tensor, image_shape: Shape, resize: str = "stretch"
) -> Tensor:
    """Images of any size and number of channels in one shape.

    Args:
        images: `(batch, any height, any width, 1 to 4 channels)`, uint8.
        image_shape: `(height, width, channels)` of the result; channels is 1
            or 3.
        resize: One of `RESIZES`, see `Preprocessing`.

    Returns:
        Whole grey levels 0 to 255, float32 `(batch, height, width,
        channels)`, resized as `Preprocessing` says.
    """
    height, width, channels = image_shape
    pixels = with_channels(tf.cast(images, tf.float32), channels)
    fit = _FITS[resize]
    if resize in _CUTS_ALL:
        pixels = fit(pixels, (height, width))
    else:
        same = tf.reduce_all(tf.shape(pixels)[1:3] == (height, width))
        pixels = tf.cond(
            same, lambda: pixels, lambda: fit(pixels, (height, width))
        )
    return tf.ensure_shape(pixels, (None, height, width, channels))


def with_channels(pixels: Tensor, channels: int) -> Tensor:
    """Images in colour or in grey, without opacity.

    Args:
        pixels: `(batch, height, width, 1 to 4 channels)`, float32.
        channels: 1 or 3.
    """

    def from_grey():
        return tf.repeat(pixels[..., :1], channels, axis=-1)

    def from_colours():
        colours = pixels[..., :3]
        if channels == 3:
            return colours
        luma = tf.reduce_sum(colours * _LUMA, axis=-1, keepdims=True)
        return _rounded(luma / 65536.0)

    # Grey or grey + opacity have 1 or 2 channels.
    received = pixels.shape[-1]
    if received is None:
        return tf.cond(tf.shape(pixels)[-1] < 3, from_grey, from_colours)
    return from_grey() if received < 3 else from_colours()


def resized(
    pixels: Tensor, size: Sequence[Tensor | int], method: str = "bicubic"
) -> Tensor:
    """Images stretched to a size as Pillow does it, whole grey levels.

    Args:
        pixels: `(batch, height, width, channels)`, float32, 0 to 255.
        size: Height and width of the result.
        method: "bicubic" or "bilinear", both with antialiasing.
    """
    # Columns first, then rows: an image of whole grey levels lies between,
    # whose clipping changes what the second pass sees beside sharp edges.
    for between in ((tf.shape(pixels)[1], size[1]), size):
        pixels = tf.image.resize(pixels, between, method=method, antialias=True)
        pixels = tf.clip_by_value(_rounded(pixels), 0.0, 255.0)
    return pixels


def _cropped(pixels, size):
    return _middle(covering(pixels, size), size)


def _centre_cropped(pixels, size, method="bicubic"):
    pixels = covering(pixels, [larger(side) for side in size], method)
    return _middle(pixels, size, tf.round)


def larger(side: int) -> int:
    """Pixels of a side before "centre_crop" cuts: 256 for 224."""
    return round(side * 256 / 224)


def covering(
    pixels: Tensor, size: Sequence[int], method: str = "bicubic"
) -> Tensor:
    """Images resized, in their proportions, until they just cover a size.

    For a square: until their shorter side has its length.

    Args:
        pixels: `(batch, height, width, channels)`, float32, 0 to 255.
        size: Height and width to cover.
        method: As of `resized`.
    """
    height, width = size
    # The smallest size of the same proportions that covers the wanted one; in
    # whole numbers, so that it does not depend on rounding.
    shape = tf.shape(pixels, out_type=tf.int64)
    rows, columns = shape[1], shape[2]
    wanted = (
        tf.cast(tf.maximum(rows * width // columns, height), tf.int32),
        tf.cast(tf.maximum(columns * height // rows, width), tf.int32),
    )
    return resized(pixels, wanted, method)


def _middle(pixels, size, rounded=tf.floor):
    """The middle of images that cover a size.

    Args:
        rounded: What becomes of half a pixel; torchvision rounds to even.
    """
    height, width = size
    shape = tf.shape(pixels)[1:3]
    spare = tf.cast(shape - size, tf.float32)
    top, left = tf.unstack(tf.cast(rounded(spare / 2.0), tf.int32))
    return pixels[:, top : top + height, left : left + width]


def _rounded(pixels):
    return tf.floor(pixels + 0.5)


_FITS: dict[str, Callable[..., Tensor]] = {
    "stretch": resized,
    "crop": _cropped,
    "bilinear": functools.partial(resized, method="bilinear"),
    "centre_crop": _centre_cropped,
    "centre_crop_bilinear": functools.partial(
        _centre_cropped, method="bilinear"
    ),
}
# Those that leave out a border of an image of the wanted shape, too.
_CUTS_ALL = ("centre_crop", "centre_crop_bilinear")
RESIZES = tuple(_FITS)
