"""Random parts of whole images, cut out before they are brought to size.

A stream whose `train_crop` is one of these shows training a part of each image,
drawn anew for every example of every epoch; all else (validation, tests, a
class's statistics, features) sees the image as the stream's `resize` says.

What is drawn depends on the seed of the epoch and on the place of the example
in it: a run that is resumed, or has more replicas, draws the same.
"""

from __future__ import annotations

import abc
import dataclasses
import typing

import gin
import numpy as np
import tensorflow as tf

from tfcl.arguments import checked, require
from tfcl.data.lazy_images import Images, image_digest, images_of
from tfcl.data.preprocessing import covering, resized
from tfcl.data.random_areas import AREA_DRAWS, area_lengths, check_areas

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.types import Shape, Tensor


# Keeps the draws apart from those of the steps, which start at the same seed.
_APART = 0x0C209
_METHODS = ("bilinear", "bicubic")


class TrainingCrop(abc.ABC):
    """Base of the crops. Its text (`repr`) tells what it does."""

    @abc.abstractmethod
    def check(self, size: Shape) -> None:
        """Refuses a `(height, width)` that it cannot give.

        Raises:
            ValueError: In that case.
        """

    @abc.abstractmethod
    def __call__(self, pixels: Tensor, size: Shape, seed: Tensor) -> Tensor:
        """A random part of one image, in a graph.

        Args:
            pixels: The whole image, `(any height, any width, channels)`,
                float32 from 0 to 255.
            size: `(height, width)` of the result.
            seed: int32 pair, different for every example.

        Returns:
            Whole grey levels, float32 `(height, width, channels)`.
        """


@gin.configurable
@checked
@dataclasses.dataclass(frozen=True)
class RandomAreaCrop(TrainingCrop):
    """Brings a part of random area and aspect ratio to the network's size.

    Args:
        scale: Smallest and largest area, as fractions of the image's.
        ratio: Smallest and largest width / height of the part.
        interpolation: "bilinear" or "bicubic", with antialiasing, as in
            Pillow.
        shorter_side: Pixels to which the shorter side is resized before, by
            the same filter; None cuts the image as it is.

    Raises:
        ValueError: If an argument breaks its rule.

    Reference:
        `RandomResizedCrop` of torchvision, after Szegedy et al., CVPR 2015.
    """

    scale: Sequence[float] = (0.08, 1.0)
    ratio: Sequence[float] = (3 / 4, 4 / 3)
    interpolation: str = "bilinear"
    shorter_side: int | None = None

    def __post_init__(self):
        check_areas(self.scale, self.ratio)
        # The fingerprint of a task holds them as text.
        for name in ("scale", "ratio"):
            value = tuple(float(each) for each in getattr(self, name))
            object.__setattr__(self, name, value)
        _check_interpolation(self.interpolation)
        if self.shorter_side is not None:
            _check_pixels("shorter_side", self.shorter_side)

    def check(self, size: Shape) -> None:
        """Takes every size."""

    def __call__(self, pixels: Tensor, size: Shape, seed: Tensor) -> Tensor:
        pixels = pixels[None]
        if self.shorter_side is not None:
            square = (self.shorter_side,) * 2
            pixels = covering(pixels, square, self.interpolation)
        shape = tf.shape(pixels)[1:3]
        drawn = _uniform(AREA_DRAWS + 2, seed)
        lengths = area_lengths(
            drawn[None, :AREA_DRAWS], shape, self.scale, self.ratio
        )[0]
        part = _part(pixels, lengths, drawn[AREA_DRAWS:])
        return resized(part, size, self.interpolation)[0]


@gin.configurable
@checked
@dataclasses.dataclass(frozen=True)
class RandomPlaceCrop(TrainingCrop):
    """Cuts the network's size out of a square image, at a random place.

    Args:
        side: Height and width to which an image is stretched before, in
            pixels.
        interpolation: "bilinear" or "bicubic", with antialiasing, as in
            Pillow.

    Raises:
        ValueError: If an argument breaks its rule.

    Reference:
        `Resize((side, side))` and `RandomCrop` of torchvision.
    """

    side: int = 300
    interpolation: str = "bicubic"

    def __post_init__(self):
        _check_pixels("side", self.side)
        _check_interpolation(self.interpolation)

    def check(self, size: Shape) -> None:
        """Refuses a size out of which nothing can be cut.

        Raises:
            ValueError: If it is larger than `side`.
        """
        require(
            max(size) <= self.side,
            "side",
            f"must be at least {max(size)}, the image size of the stream "
            "(RandomPlaceCrop.side)",
            self.side,
        )

    def __call__(self, pixels: Tensor, size: Shape, seed: Tensor) -> Tensor:
        square = (self.side, self.side)
        pixels = resized(pixels[None], square, self.interpolation)
        return _part(pixels, tf.constant(size), _uniform(2, seed))[0]


class CroppedImages(Images):
    """Images of which training sees random parts.

    Args:
        seen: What all else sees: uint8 `(n, height, width, channels)`, or
            `Images`.
        source: Object with `image_shape` and `parts(indices, crop, seeds)`,
            such as `LabelledImages`.
        indices: The same images in the source, `(n,)` integers.
        crop: `TrainingCrop`.

    Attributes:
        crop: The same.
    """

    draws = True

    def __init__(
        self,
        seen: np.ndarray | Images,
        source: Any,
        indices: np.ndarray,
        crop: TrainingCrop,
    ):
        super().__init__(len(indices), source.image_shape)
        self._seen = seen
        self._source = source
        self._indices = np.asarray(indices, np.int64)
        self.crop = crop

    def __getitem__(self, rows):
        return self._seen[rows]

    def drawn(self, rows: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """Random parts of the images at `rows`, decoded anew."""
        return self._source.parts(self._indices[rows], self.crop, seeds)

    def taken(self, rows: np.ndarray) -> CroppedImages:
        """The images at `rows`, not decoded."""
        seen = self._seen
        return CroppedImages(
            seen.taken(rows) if isinstance(seen, Images) else seen[rows],
            self._source,
            self._indices[rows],
            self.crop,
        )

    def uncached(self) -> CroppedImages:
        """The same, decoded anew whenever they are asked for."""
        seen = self._seen
        if isinstance(seen, Images):
            seen = seen.uncached()
        return CroppedImages(seen, self._source, self._indices, self.crop)

    def digest(self) -> str:
        return f"{image_digest(self._seen)}{self.crop!r}"


def cropped_images(
    source: Any,
    indices: np.ndarray,
    crop: TrainingCrop,
    largest: int | None = None,
) -> CroppedImages:
    """Images of a source for training with random parts.

    Args:
        source: As of `CroppedImages`, with what `images_of` asks for.
        indices: `(n,)` integers.
        crop: As of `CroppedImages`.
        largest: As of `images_of`; of the whole images, which stay encoded
            until something asks for them.

    Raises:
        ValueError: If it is no crop, or cannot give the size of the images.
    """
    require(
        isinstance(crop, TrainingCrop),
        "train_crop",
        "must be a crop of tfcl.data.training_crops, such as RandomAreaCrop() "
        "(in gin: @RandomAreaCrop(), with brackets)",
        crop,
    )
    crop.check(source.image_shape[:2])
    seen = images_of(source, indices, False, largest)
    return CroppedImages(seen, source, indices, crop)


def example_seeds(seed: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """A seed per example of an epoch, int32 `(k, 2)`.

    Args:
        seed: int32 pair of the epoch.
        positions: Places in the order of the epoch, `(k,)` integers.
    """
    first, second = np.asarray(seed, np.int32)
    # Sums beyond 32 bits begin anew.
    seconds = (np.asarray(positions, np.int64) + int(second)).astype(np.int32)
    firsts = np.full_like(seconds, first ^ np.int32(_APART))
    return np.stack([firsts, seconds], axis=1)


def _uniform(count, seed):
    # The same numbers on every device.
    return tf.random.stateless_uniform([count], seed, alg="philox")


def _part(pixels, lengths, drawn):
    """A part of given height and width, at a place drawn from [0, 1)^2."""
    spare = tf.shape(pixels)[1:3] - lengths
    start = tf.cast(drawn * tf.cast(spare + 1, tf.float32), tf.int32)
    # The product may be rounded up to the limit itself.
    start = tf.minimum(start, spare)
    end = start + lengths
    return pixels[:, start[0] : end[0], start[1] : end[1]]


def _check_interpolation(value):
    require(
        value in _METHODS,
        "interpolation",
        "must be 'bilinear' or 'bicubic'",
        value,
    )


def _check_pixels(name, value):
    require(
        isinstance(value, int) and value >= 1,
        name,
        "must be a positive number of pixels",
        value,
    )
