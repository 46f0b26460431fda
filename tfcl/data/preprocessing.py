"""From a user's picture to the network's input."""

import dataclasses

import tensorflow as tf

# Luma weights of ITU-R BT.601, as Pillow's conversion to grey uses them.
_LUMA = (0.299, 0.587, 0.114)


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Resizes, converts channels and standardises pictures of any size.

    Args:
        image_shape: `(height, width, channels)` of the result; channels is 1
            or 3.
        mean: Per-channel mean of pixels / 255.
        std: Per-channel deviation of pixels / 255.

    Call with a uint8 tensor `(batch, any height, any width, 1, 3 or 4
    channels)`; returns float32 `(batch, height, width, channels)`. Resizing
    is bicubic with antialiasing, rounded to whole grey levels as a stored
    picture would be; a fourth channel (opacity) is dropped.
    """

    image_shape: tuple
    mean: tuple
    std: tuple

    def __call__(self, images):
        height, width, channels = self.image_shape
        pixels = _with_channels(tf.cast(images, tf.float32), channels)
        same = tf.reduce_all(tf.shape(pixels)[1:3] == (height, width))
        pixels = tf.cond(
            same, lambda: pixels, lambda: _resized(pixels, (height, width))
        )
        pixels = tf.ensure_shape(pixels, (None, height, width, channels))
        # The order of operations of a training batch, to the last bit.
        mean = tf.constant(self.mean, tf.float32)
        std = tf.constant(self.std, tf.float32)
        return (pixels * tf.constant(1.0 / 255.0, tf.float32) - mean) / std

    def to_json(self):
        return {
            "image_shape": list(self.image_shape),
            "mean": [float(v) for v in self.mean],
            "std": [float(v) for v in self.std],
        }

    @classmethod
    def from_json(cls, value):
        return cls(*(tuple(value[k]) for k in ("image_shape", "mean", "std")))


def _with_channels(pixels, channels):
    received = tf.shape(pixels)[-1]
    if channels == 1:
        # Grey or grey + opacity have 1 or 2 channels.
        grey = tf.cond(
            received < 3,
            lambda: pixels[..., :1],
            lambda: tf.round(
                tf.reduce_sum(
                    pixels[..., :3] * _LUMA[: 3], axis=-1, keepdims=True
                )
            ),
        )
        return grey
    return tf.cond(
        received < 3,
        lambda: tf.repeat(pixels[..., :1], 3, axis=-1),
        lambda: pixels[..., :3],
    )


def _resized(pixels, size):
    resized = tf.image.resize(pixels, size, method="bicubic", antialias=True)
    return tf.clip_by_value(tf.round(resized), 0.0, 255.0)
