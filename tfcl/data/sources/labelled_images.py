"""One split of a data set whose images stay encoded until asked for."""

from __future__ import annotations

import typing

import numpy as np
import tensorflow as tf

from tfcl.data.preprocessing import grey_levels, with_channels
from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tfcl.data.sources.prepared_sets import Place
    from tfcl.data.sources.record_files import EncodedInFiles, EncodedInMemory
    from tfcl.data.training_crops import TrainingCrop
    from tfcl.types import Shape


_DECODE_BATCH = 256
# Encoded files in memory at a time, if they come from the disk.
_READ_BATCH = 1024


class LabelledImages:
    """Labels at once, pixels when they are asked for.

    Made by `tfds_source.open_split`. Keeps the encoded files (PNG, JPEG) in
    memory (CIFAR-100's 50,000 training images take 113 MiB), those of large
    sets on the disk.

    Args:
        encoded: `EncodedInMemory` or `EncodedInFiles`.
        labels: Class indices, `(n,)`.
        class_names: Name of each class.
        image_shape: `(height, width, channels)` of the images as stored, or
            as wanted.
        ids: The images' names, `(n,)` bytes, or None.
        place: What errors call this split; `place.elsewhere` is their remedy.
        stored_channels: Channels to decode if images are to be brought to
            `image_shape`; None if every file has that shape.
        resize: How, see `Preprocessing`.

    Attributes:
        labels: Class indices, `(n,)`, int64.
        class_names: Name of each class, tuple of text.
        image_shape: `(height, width, channels)`.
        ids: The images' names in the data set, tuple of n texts, or None if
            the set has none.
    """

    def __init__(
        self,
        encoded: EncodedInMemory | EncodedInFiles,
        labels: np.ndarray,
        class_names: Sequence[str],
        image_shape: Shape,
        ids: Iterable[bytes] | None,
        place: Place,
        stored_channels: int | None = None,
        resize: str = "stretch",
    ):
        self.labels = np.asarray(labels, np.int64)
        self.class_names = tuple(class_names)
        self.image_shape = tuple(image_shape)
        self.ids = None if ids is None else tuple(i.decode() for i in ids)
        self._encoded = encoded
        self._place = place
        self._stored_channels = stored_channels
        self._resize = resize

    def __len__(self):
        return len(self.labels)

    def images(self, indices: np.ndarray) -> np.ndarray:
        """Decodes the images at `indices`.

        Args:
            indices: `(k,)` integers, in any order, repeats allowed.

        Returns:
            Pixels, `(k, height, width, channels)`, uint8.

        Raises:
            UserError: If an image cannot be decoded to `image_shape`.
            IndexError: If an index is out of range.
        """
        return self._decoded(indices, self._decode)

    def parts(
        self,
        indices: np.ndarray,
        crop: TrainingCrop,
        seeds: np.ndarray,
    ) -> np.ndarray:
        """Decodes random parts of the images at `indices`.

        Args:
            indices: `(k,)` integers, in any order, repeats allowed.
            crop: See `tfcl.data.training_crops`.
            seeds: A seed for each, int32 `(k, 2)`.

        Returns, Raises: As `images`.
        """

        def part(encoded, seed):
            pixels = tf.cast(self._whole(encoded)[None], tf.float32)
            *size, channels = self.image_shape
            pixels = with_channels(pixels, channels)[0]
            cut = crop(pixels, tuple(size), seed)
            return tf.ensure_shape(tf.cast(cut, tf.uint8), self.image_shape)

        return self._decoded(indices, part, np.asarray(seeds, np.int32))

    def _decoded(self, indices, function, *others):
        """What a function makes of the encoded images at `indices`."""
        indices = np.asarray(indices, np.int64)
        pixels = np.empty((len(indices), *self.image_shape), np.uint8)
        if not len(indices):
            return pixels
        try:
            for start in range(0, len(indices), _READ_BATCH):
                rows = slice(start, start + _READ_BATCH)
                encoded = self._encoded.read(indices[rows])
                inputs = (encoded, *(other[rows] for other in others))
                decoded = tf.data.Dataset.from_tensor_slices(inputs).map(
                    function, tf.data.AUTOTUNE, deterministic=True
                )
                for batch in decoded.batch(_DECODE_BATCH).as_numpy_iterator():
                    pixels[start : start + len(batch)] = batch
                    start += len(batch)
        except tf.errors.InvalidArgumentError as error:
            raise self._undecodable(indices) from error
        return pixels

    def digest(self, indices: np.ndarray) -> str:
        """Text that differs where the files at `indices` differ."""
        how = "" if self._resize == "stretch" else self._resize
        return f"{self.image_shape}{how}{self._encoded.digest(indices)}"

    def _whole(self, encoded):
        channels = self._stored_channels or self.image_shape[-1]
        pixels = tf.io.decode_image(encoded, channels, expand_animations=False)
        if self._stored_channels is None:
            return tf.ensure_shape(pixels, self.image_shape)
        return tf.ensure_shape(pixels, (None, None, channels))

    def _decode(self, encoded):
        pixels = self._whole(encoded)
        if self._stored_channels is None:
            return pixels
        levels = grey_levels(pixels[None], self.image_shape, self._resize)[0]
        return tf.cast(levels, tf.uint8)

    def _undecodable(self, indices):
        """The error that names the first image that fails on its own."""
        for index in indices:
            try:
                self._decode(self._encoded.read(np.array([index]))[0])
            except tf.errors.InvalidArgumentError:
                break
        identity = f" (id '{self.ids[index]}')" if self.ids else ""
        shape = " x ".join(str(n) for n in self.image_shape)
        return UserError(
            f"{self._place}: image {index}{identity} cannot be decoded to "
            f"{shape} uint8. Prepare the data set anew or "
            f"{self._place.elsewhere}."
        )
