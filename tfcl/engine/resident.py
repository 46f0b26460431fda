"""A split held on the device, gathered in-graph."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import typing

import numpy as np
import tensorflow as tf

from tfcl.data.training_crops import example_seeds

if typing.TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tfcl.data.split import Split
    from tfcl.types import Shape, Tensor


WINDOW = 2**27


class ResidentSplit:
    """Variables that hold one split; loading another keeps every trace.

    Their first dimension is open, so that splits of any size fit into the
    same traced functions. Plain variables also under a distribution strategy:
    a process holds the images once, its replicas gather their own rows.

    Args:
        image_shape: `(height, width, channels)` of all splits to come.
        dtype: Pixel dtype, uint8 or float32.
        window: A split that is decoded when needed goes through the device in
            windows of at most so many bytes, or of a batch; the next one is
            decoded meanwhile.
    """

    def __init__(self, image_shape: Shape, dtype: Any, window: int = WINDOW):
        self._window = window
        channels = image_shape[-1]
        self._images = _open((None, *image_shape), dtype)
        self._labels = _open((None,), np.int32)
        self._groups = _open((None,), np.int32)
        self._mean = _open((None, channels), np.float32)
        self._std = _open((None, channels), np.float32)
        self._scale = _open((), np.float32)
        self._loaded: Split | None = None

    def load(self, split: Split) -> None:
        """Assigns a split's arrays, unless they are there already."""
        if self._loaded is split:
            return
        self._images.assign(split.images)
        self._labels.assign(split.labels)
        self._groups.assign(split.groups)
        self._mean.assign(split.mean)
        self._std.assign(split.std)
        self._scale.assign(np.float32(split.scale))
        self._loaded = split

    def windows(
        self,
        split: Split,
        order: np.ndarray,
        first: int,
        last: int,
        batch_size: int,
        seed: np.ndarray | None = None,
    ) -> Iterator[tuple[np.ndarray, int, int]]:
        """Loads what the batches `first`..`last` - 1 of an order need.

        Args:
            split: `Split`.
            order: Its examples, int32 `(n,)`.
            first, last: Numbers of batches.
            batch_size: Examples of a batch.
            seed: int32 pair of the epoch, of a pass that trains: random
                parts of images (`tfcl.data.training_crops`) are drawn from
                it. None takes every image as a whole.

        Yields:
            `(order, first, last)` of one window after another: batches to
            run, and an order that finds their examples on the device. A split
            in memory is one window.
        """
        if isinstance(split.images, np.ndarray):
            self.load(split)
            yield order, first, last
            return
        batch_bytes = batch_size * int(np.prod(split.image_shape))
        step = max(self._window // batch_bytes, 1)
        starts = list(range(first, last, step))

        def decoded(start):
            stop = min(start + step, last)
            rows = order[start * batch_size : stop * batch_size]
            seeds = None
            if seed is not None:
                positions = start * batch_size + np.arange(len(rows))
                seeds = example_seeds(seed, positions)
            return _in_memory(split, rows, seeds), start, stop

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            coming = pool.submit(decoded, starts[0]) if starts else None
            for start in starts:
                assert coming is not None, "there are starts"
                window, start, stop = coming.result()
                if stop < last:
                    coming = pool.submit(decoded, stop)
                self.load(window)
                local = np.zeros(len(order), np.int32)
                begin = start * batch_size
                local[begin : begin + len(window)] = np.arange(len(window))
                yield local, start, stop

    def num_groups(self) -> Tensor:
        """Groups of the split that is loaded, int32 scalar in a graph."""
        return tf.shape(self._mean)[0]

    def gather(self, rows: Tensor) -> tuple[Tensor, ...]:
        """What a batch says of the examples `rows` (int32).

        Returns:
            Standardised images, labels, groups and what a black and what a
            white pixel is in each image, float32 `(b, channels)`.
        """
        groups = tf.gather(self._groups, rows)
        pixels = tf.cast(tf.gather(self._images, rows), tf.float32)
        mean, std = tf.gather(self._mean, groups), tf.gather(self._std, groups)
        images = pixels * self._scale - mean[:, None, None]
        images /= std[:, None, None]
        # Steps that do not ask for black or white do not compute them:
        # TensorFlow leaves out what nothing uses.
        shades = (-mean / std, (1.0 - mean) / std)
        return images, tf.gather(self._labels, rows), groups, *shades


def _in_memory(split, rows, seeds):
    """The split of `rows`, decoded."""
    images = split.images
    return dataclasses.replace(
        split,
        images=images[rows] if seeds is None else images.drawn(rows, seeds),
        labels=split.labels[rows],
        groups=split.groups[rows],
    )


def _open(shape, dtype):
    start = np.zeros([0 if n is None else n for n in shape], dtype)
    return tf.Variable(
        start, shape=tf.TensorShape(shape), dtype=dtype, trainable=False
    )
