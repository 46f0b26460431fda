"""Image files decoded inside of a graph, for servers that get them as bytes."""

from __future__ import annotations

import typing

import tensorflow as tf

from tfcl.data.preprocessing import grey_levels

if typing.TYPE_CHECKING:
    from tfcl.data.preprocessing import Preprocessing
    from tfcl.types import Tensor


def decoded(files: Tensor, preprocessing: Preprocessing) -> Tensor:
    """The images of JPEG, PNG, GIF (its first) and BMP files.

    Of 8 bits; the orientation that a camera notes is not obeyed.

    Args:
        files: Contents, strings `(n,)`.
        preprocessing: `Preprocessing` of a task, whose shape and way to resize
            are taken.

    Returns:
        uint8 `(n, height, width, channels)`.
    """
    shape = preprocessing.image_shape

    def one(file):
        image = _pixels(file)[None]
        levels = grey_levels(image, shape, preprocessing.resize)[0]
        return tf.cast(levels, tf.uint8)

    spec = tf.TensorSpec(shape, tf.uint8)
    return tf.map_fn(one, files, fn_output_signature=spec)


def _pixels(file):
    """uint8 `(height, width, channels)`."""

    def jpeg():
        # Pillow's arithmetic; the default is coarser.
        return tf.io.decode_jpeg(file, dct_method="INTEGER_ACCURATE")

    def other():
        return tf.io.decode_image(file, expand_animations=False)

    begins = tf.strings.substr(file, 0, 2)
    image = tf.cond(tf.equal(begins, b"\xff\xd8"), jpeg, other)
    return tf.ensure_shape(image, (None, None, None))
