"""A split held on the device, gathered in-graph."""

import numpy as np
import tensorflow as tf


class ResidentSplit:
    """Variables that hold one split; loading another keeps every trace.

    Their first dimension is open, so that splits of any size fit into the
    same traced functions. Plain variables also under a distribution strategy:
    a process holds the pictures once, its replicas gather their own rows.

    Args:
        image_shape: `(height, width, channels)` of all splits to come.
        dtype: Pixel dtype, uint8 or float32.
    """

    def __init__(self, image_shape, dtype):
        channels = image_shape[-1]
        self._images = _open((None, *image_shape), dtype)
        self._labels = _open((None,), np.int32)
        self._groups = _open((None,), np.int32)
        self._mean = _open((None, channels), np.float32)
        self._std = _open((None, channels), np.float32)
        self._scale = _open((), np.float32)
        self._loaded = None

    def load(self, split):
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

    def gather(self, rows):
        """Standardised images, labels and groups of `rows` (int32)."""
        groups = tf.gather(self._groups, rows)
        pixels = tf.cast(tf.gather(self._images, rows), tf.float32)
        mean = tf.gather(self._mean, groups)[:, None, None]
        std = tf.gather(self._std, groups)[:, None, None]
        images = (pixels * self._scale - mean) / std
        return images, tf.gather(self._labels, rows), groups


def _open(shape, dtype):
    start = np.zeros([0 if n is None else n for n in shape], dtype)
    return tf.Variable(
        start, shape=tf.TensorShape(shape), dtype=dtype, trainable=False
    )
