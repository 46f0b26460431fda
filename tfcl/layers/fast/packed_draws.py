"""Small random integers, several out of every random word."""

from __future__ import annotations

import typing

import tensorflow as tf

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Tensor


def packed_draws(count: int, dtype: Any, seed: Any) -> Tensor:
    """Uniform random integers of less than 32 bits, quickly.

    Random words are expensive on a CPU: each is cut into two or four.

    Args:
        count: Number of integers, Python int or int32 scalar.
        dtype: `tf.uint8` or `tf.uint16`.
        seed: Pair of integers, as of `tf.random.stateless_uniform`.

    Returns:
        `(count,)` of that dtype.
    """
    per_word = tf.int32.size // dtype.size
    words = tf.random.stateless_uniform(
        [(count + per_word - 1) // per_word],
        seed,
        minval=None,
        maxval=None,
        dtype=tf.int32,
    )
    return tf.reshape(tf.bitcast(words, dtype), [-1])[:count]
