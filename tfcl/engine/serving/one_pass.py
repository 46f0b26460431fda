"""A batch of several tasks in one pass through one network."""

from __future__ import annotations

import typing

import numpy as np
import tensorflow as tf

from tfcl.data.preprocessing import grey_levels
from tfcl.engine.serving.image_bytes import decoded

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.engine.storage.bank import BankedTask
    from tfcl.types import Tensor


class OnePass:
    """Answers of a network that takes each image's task (`SupportsBundle`).

    Args:
        network: What `SupportsBundle.bundle` returns.
        entries: `BankedTask`s in the same order, of images of one shape.

    Attributes:
        takes_files: Whether `of_files` answers: if all tasks resize alike.
        separate_bytes: None: it does not know the single networks.
    """

    separate_bytes = None

    def __init__(self, network: Any, entries: Sequence[BankedTask]):
        self._network = network
        rules = [entry.preprocessing for entry in entries]
        self._first = rules[0]
        self._preprocessing = _Preprocessing(rules)
        self._classes = max(len(entry.class_names) for entry in entries)
        self.takes_files = len({rule.resize for rule in rules}) == 1

    @property
    def weights(self) -> list[tf.Variable]:
        """The variables, each once."""
        return [weight.value for weight in self._network.weights]

    @property
    def num_bytes(self) -> int:
        """Bytes of the values that are stored."""
        return sum(
            weight.shape.num_elements() * weight.dtype.size
            for weight in self.weights
        )

    def of_images(self, images: Tensor, tasks: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities `(n, C)` and the best class's number `(n,)`; traced.

        Args:
            images: uint8 `(n, height, width, 1, 3 or 4 channels)`.
            tasks: Number of each one's task, int32 `(n,)`.
        """
        levels = self._preprocessing.levels(images, tasks)
        return self._answers(levels, tasks)

    def of_files(self, files: Tensor, tasks: Tensor) -> tuple[Tensor, Tensor]:
        """As `of_images`, from contents of image files, strings `(n,)`."""
        pixels = tf.cast(decoded(files, self._first), tf.float32)
        return self._answers(pixels, tasks)

    def _answers(self, levels, tasks):
        pixels = self._preprocessing.standardised(levels, tasks)
        logits = self._network(pixels, tasks)
        # The stream may have wider tasks than these.
        logits = logits[:, : self._classes]
        probabilities = tf.nn.softmax(tf.cast(logits, tf.float32))
        return probabilities, tf.argmax(logits, axis=-1)


class _Preprocessing:
    """Each image by the preprocessing of its task."""

    def __init__(self, rules):
        # All tasks of a run feed one network.
        self._shape = rules[0].image_shape
        self._resizes = list(dict.fromkeys(rule.resize for rule in rules))
        self._which = [self._resizes.index(rule.resize) for rule in rules]
        self._mean, self._std = (
            np.array([getattr(rule, key) for rule in rules], np.float32)
            for key in ("mean", "std")
        )

    def levels(self, images, tasks):
        """Grey levels 0 to 255 in the network's size."""
        pixels = grey_levels(images, self._shape, self._resizes[0])
        which = tf.gather(tf.constant(self._which), tasks)
        for number, resize in enumerate(self._resizes[1:], 1):
            other = grey_levels(images, self._shape, resize)
            mine = (which == number)[:, None, None, None]
            pixels = tf.where(mine, other, pixels)
        return pixels

    def standardised(self, pixels, tasks):
        """The network's input from `levels`."""
        mean, std = (
            tf.gather(tf.constant(rows), tasks)[:, None, None]
            for rows in (self._mean, self._std)
        )
        # The order of operations of `Preprocessing`.
        return (pixels * tf.constant(1.0 / 255.0, tf.float32) - mean) / std
