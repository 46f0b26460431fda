"""Data sets made up in place of those of the catalog, and real ones."""

import dataclasses
import hashlib
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tfcl import randomness
from tfcl.data.sources import tfds_source
from tfcl.errors import UserError


@dataclasses.dataclass(frozen=True)
class MadeUpSet:
    """What a made-up data set looks like.

    Args:
        image_shape: `(height, width, channels)`.
        classes: Number of classes, or their names.
        per_class: Images of a class by split; a number of each class's own
            or one for all.
        users: Users among whom the images are dealt out, named by their
            ids; None for no ids.
    """

    image_shape: tuple
    classes: int | tuple
    per_class: dict
    users: int | None = None

    @property
    def class_names(self):
        if isinstance(self.classes, int):
            return tuple(f"class_{k}" for k in range(self.classes))
        return self.classes


class MadeUpImages:
    """Stands for `LabelledImages`: noise, every image different."""

    def __init__(self, name, split, made_up, image_shape=None):
        self.image_shape = image_shape or made_up.image_shape
        self.class_names = made_up.class_names
        counts = np.broadcast_to(
            made_up.per_class[split], len(self.class_names)
        )
        # Classes mixed, as in most real sets.
        labels = np.repeat(np.arange(len(counts)), counts)
        generator = randomness.generator(0, name, split)
        self.labels = generator.permutation(labels)
        self.ids = None
        if made_up.users:
            dealt = generator.permutation(len(labels)) % made_up.users
            self.ids = tuple(
                f"{user:03d}/{split}/{place:06d}"
                for place, user in enumerate(dealt)
            )
        size = int(np.prod(self.image_shape))
        # Images overlap in memory, so that large ones cost little.
        noise = generator.integers(
            0, 256, size + _STRIDE * len(labels), np.uint8
        )
        windows = np.lib.stride_tricks.sliding_window_view(noise, size)
        self._images = windows[::_STRIDE]

    def __len__(self):
        return len(self.labels)

    def images(self, indices):
        flat = self._images[np.asarray(indices, np.int64)]
        return flat.reshape(-1, *self.image_shape)

    def parts(self, indices, crop, seeds):
        """Random parts, as of `LabelledImages`."""
        size = self.image_shape[:2]
        pixels = [
            crop(tf.constant(image, tf.float32), size, tf.constant(seed))
            for image, seed in zip(self.images(indices), seeds)
        ]
        return np.stack(pixels).astype(np.uint8)

    def digest(self, indices):
        return hashlib.sha256(self.images(indices).tobytes()).hexdigest()


_STRIDE = 5


def replace_open_split(monkeypatch, sets):
    """Makes `tfds_source.open_split` answer with made-up images.

    Args:
        monkeypatch: pytest's.
        sets: `{name in the catalog: MadeUpSet}`.
    """

    def opened(
        name,
        split,
        data_dir=None,
        image_shape=None,
        resize="stretch",
        image_key=None,
        memory=None,
    ):
        # Made in the shape asked for.
        del data_dir, resize, image_key, memory
        if split not in sets[name].per_class:
            raise UserError(f"no such split: {split}")
        return MadeUpImages(name, split, sets[name], image_shape)

    monkeypatch.setattr(tfds_source, "open_split", opened)


def folder_of_real(prepared):
    """The folder that holds a prepared real set, else skips the test.

    Args:
        prepared: Name and version of the TFDS set, "mnist/3.0.1".
    """
    shared = pathlib.Path(__file__).parents[2] / "../shared/tfds"
    for folder in (os.environ.get("TFDS_DATA_DIR", ""), shared):
        if folder and os.path.isdir(os.path.join(folder, prepared)):
            return str(folder)
    pytest.skip(f"{prepared} is not prepared in TFDS_DATA_DIR.")
