"""Tiny images for the dummy data of the builders' tests."""

import zlib

import numpy as np
import tensorflow as tf


def write(path, size=(4, 5), channels=3):
    """Writes an image of one colour, which its path decides.

    Args:
        path: `pathlib.Path`; JPEG unless the name ends in ".png".
        size: `(height, width)` in pixels.
        channels: 1 (grey) or 3.
    """
    seed = zlib.crc32("/".join(path.parts[-3:]).encode())
    colour = np.random.default_rng(seed).integers(0, 256, channels, np.uint8)
    pixels = np.broadcast_to(colour, (*size, channels))
    if path.suffix.lower() == ".png":
        encoded = tf.io.encode_png(pixels)
    else:
        encoded = tf.io.encode_jpeg(pixels, quality=50)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded.numpy())
