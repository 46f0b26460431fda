"""Image files as the network's input: read, checked, brought to one shape."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import hashlib
import os
import pathlib
import threading
import typing

import numpy as np
import tensorflow as tf

from tfcl.data.lazy_images import Images
from tfcl.data.preprocessing import grey_levels
from tfcl.data_builders import regular_files
from tfcl.data_builders.image_folders.image_file import (
    DEFAULT_RULES,
    WHITE_OF_16_BITS,
    BadImage,
    Rules,
    decode,
    levels,
    open_image,
)
from tfcl.data_builders.image_folders.white_point import Range
from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Any

    from tfcl.types import Shape


_AT_ONCE = 4  # Images in work at once.
# Resizing takes 44 bytes per pixel: from this size on, one image at a time.
_LARGE = 12_000_000  # Pixels; half a gigabyte.
_ONE_LARGE = threading.Lock()


class Source(typing.NamedTuple):
    """Where the file of an image is.

    Attributes:
        name: What messages call it.
        file: Its path, or its content.
        digest: SHA-256 of the content as hexadecimal text; None if not known.
    """

    name: str
    file: os.PathLike | bytes
    digest: str | None = None


class Reading(typing.NamedTuple):
    """What reading a `Source` gave.

    Attributes:
        digest: SHA-256 of the content; "" if it could not be read.
        pixels: uint8 `(height, width, channels)`; None with a fault, and
            while nobody has said which number is white.
        fault: What is wrong with the file, or None.
        numbers: `Range` of an image of more than 8 bits; None of others.
        notes: What is odd with a file that could be read.
    """

    digest: str
    pixels: np.ndarray | None
    fault: str | None
    numbers: Range | None = None
    notes: tuple[str, ...] = ()


def read_image(
    path: str | pathlib.Path, rules: Rules = DEFAULT_RULES
) -> np.ndarray:
    """An image file as uint8 `(height, width, 3)`.

    Args:
        path: The file.
        rules: See `tfcl.data_builders.image_folders.image_file.decode`.

    Raises:
        UserError: If the file is missing or no image.
    """
    with _told_of(path):
        return decode(path, rules)


def check_image(path: str | pathlib.Path, largest: int) -> None:
    """Refuses a file that is no image, whatever task it is for.

    Args:
        path: The file.
        largest: Bytes that it may hold.

    Raises:
        UserError: If the file is missing or no image.
    """
    rules = Rules(largest, two_channels="grey")
    with _told_of(path):
        open_image(regular_files.read(path, largest), rules)


@contextlib.contextmanager
def _told_of(path):
    """What is wrong with a file that a user has named, as `UserError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"No such image: {path}") from error
    except OSError as error:
        raise UserError(
            f"{path} is no readable image: {error.strerror}"
        ) from error
    except BadImage as error:
        raise UserError(f"{path} {error}") from error


class ImageFiles(Images):
    """Images that are decoded and resized each time they are asked for.

    Args:
        sources: List of `Source` with their digests, files that can be
            decoded.
        image_shape: `(height, width, channels)`; channels is 1 or 3.
        resize: See `Preprocessing`.
        rules: How files are read; with the white of their data set, if some
            are of more than 8 bits.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        image_shape: Shape,
        resize: str = "stretch",
        rules: Rules = DEFAULT_RULES,
    ):
        self._sources = tuple(sources)
        self._resize = resize
        self._rules = rules
        super().__init__(len(self._sources), image_shape)

    def taken(self, rows: np.ndarray) -> ImageFiles:
        """The images at `rows`, not decoded."""
        chosen = [self._sources[row] for row in rows]
        return ImageFiles(chosen, self._image_shape, self._resize, self._rules)

    def digest(self) -> str:
        """Text that differs where files do, or what is made of them."""
        made: tuple[Any, ...] = (self.shape, self._resize)
        # As it was before there was a choice.
        if self._rules.white not in (None, WHITE_OF_16_BITS):
            made += (self._rules.white,)
        if self._rules.two_channels != DEFAULT_RULES.two_channels:
            made += (self._rules.two_channels,)
        sha = hashlib.sha256(str(made).encode())
        for source in self._sources:
            assert source.digest is not None
            sha.update(source.digest.encode())
        return sha.hexdigest()

    def __getitem__(self, rows):
        """Pixels of some images, uint8 `(k, height, width, channels)`.

        Args:
            rows: Slice or `(k,)` integers.

        Raises:
            UserError: If a file has changed and is no image any more.
        """
        indices = np.atleast_1d(np.arange(len(self))[rows])
        pixels = np.empty((len(indices), *self._image_shape), np.uint8)
        chosen = [self._sources[index] for index in indices]
        with contextlib.closing(
            read_all(chosen, self._image_shape, self._resize, self._rules)
        ) as readings:
            for place, reading in enumerate(readings):
                if reading.pixels is None:
                    fault = reading.fault or "has more than 8 bits now"
                    raise UserError(
                        f"'{chosen[place].name}' {fault}. It was an "
                        "image when the run began: put it back and start "
                        "again."
                    )
                pixels[place] = reading.pixels
        return pixels


def read_all(
    sources: Sequence[Source],
    image_shape: Shape,
    resize: str = "stretch",
    rules: Rules = DEFAULT_RULES,
) -> Generator[Reading]:
    """Reads images, several at once.

    Args:
        sources: List of `Source`.
        image_shape: `(height, width, channels)`; channels is 1 or 3.
        resize: See `Preprocessing`.
        rules: How files are read. Without a white, images of more than 8 bits
            give their numbers only.

    Yields:
        A `Reading` per source, in their order. Whoever stops early closes the
        generator: its threads cannot wait for themselves.
    """
    read = functools.partial(_read, tuple(image_shape), resize, rules)
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        # By parts, or results would pile up before they are taken.
        for first in range(0, len(sources), 16 * _AT_ONCE):
            yield from pool.map(read, sources[first : first + 16 * _AT_ONCE])


def _read(image_shape, resize, rules, source):
    digest = ""
    try:
        content = source.file
        if not isinstance(content, bytes):
            content = regular_files.read(content, rules.largest_file)
        digest = source.digest or hashlib.sha256(content).hexdigest()
        opened = open_image(content, rules)
        numbers, pixels = None, None
        if opened.is_deep:
            numbers = Range.of(opened.values)
        if numbers is None or rules.white is not None:
            pixels = levels(opened.values, rules.white)
            pixels = fitted(pixels, image_shape, resize)
    except OSError as error:
        return Reading(digest, None, f"cannot be read: {error.strerror}")
    except BadImage as error:
        return Reading(digest, None, str(error))
    return Reading(digest, pixels, None, numbers, opened.notes)


def fitted(pixels: np.ndarray, image_shape: Shape, resize: str) -> np.ndarray:
    """An image brought to a shape as serving does it (`Preprocessing`).

    Args:
        pixels: uint8 `(any height, any width, 3)`.
        image_shape: `(height, width, channels)`; channels is 1 or 3.
        resize: See `Preprocessing`.

    Returns:
        uint8 of `image_shape`.
    """
    if pixels.shape == tuple(image_shape):
        return pixels
    fit = _fitting(tuple(image_shape), resize)
    large = pixels.shape[0] * pixels.shape[1] >= _LARGE
    with _ONE_LARGE if large else contextlib.nullcontext():
        return fit(tf.constant(pixels)).numpy()


@functools.cache
def _fitting(image_shape, resize):
    """Traced function from an image of any size to `image_shape`."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)])
    def fit(pixels):
        # The results of serving do not depend on the training's devices.
        with tf.device("CPU:0"):
            levels = grey_levels(pixels[None], image_shape, resize)[0]
            return tf.cast(levels, tf.uint8)

    return fit
