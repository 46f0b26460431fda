"""How important gradients say that parameters are, between 0 and 1.

Source: Konishi et al., "Parameter-Level Soft-Masking for Continual
Learning", ICML 2023, section 3.1, and its published program.
"""

from __future__ import annotations

import typing

import tensorflow as tf

if typing.TYPE_CHECKING:
    from collections.abc import Sequence

    from tfcl.types import Tensor


def are_equal(gradient: Tensor) -> Tensor:
    """Whether all elements are equal, so that no deviation exists.

    Args:
        gradient: Tensor of any shape; a single element equals itself.

    Returns:
        Boolean scalar tensor.
    """
    # Not by std: the mean of equal elements may differ from them in a bit.
    return tf.equal(tf.reduce_max(gradient), tf.reduce_min(gradient))


def score(gradient: Tensor) -> Tensor:
    """`|tanh((g - mean(g)) / std(g))|` of one parameter tensor.

    The deviation is the unbiased one. Only the direction of `g` counts, not
    its scale. An element without gradient gets `|tanh(mean / std)|`, not 0.

    Args:
        gradient: g, accumulated over data, float tensor of any shape.

    Returns:
        Tensor of g's shape and dtype in [0, 1]. Zeros where no deviation
        exists: equal elements (all zero among them), or a single one; the
        published program divides by zero there.
    """
    gradient = tf.convert_to_tensor(gradient)
    # In float64, so that squares of tiny gradients are not lost.
    wide = tf.cast(gradient, tf.float64)
    mean = tf.reduce_mean(wide)
    others = tf.cast(tf.maximum(tf.size(wide) - 1, 1), tf.float64)
    std = tf.sqrt(
        tf.reduce_sum(tf.math.squared_difference(wide, mean)) / others
    )
    factor = tf.where(are_equal(gradient), tf.zeros_like(std), 1.0 / std)
    standardised = (wide - mean) * factor
    return tf.abs(tf.tanh(tf.cast(standardised, gradient.dtype)))


def mean_over_elements(tensors: Sequence[Tensor]) -> Tensor:
    """Mean over the elements of all tensors pooled, a scalar.

    With plasticities (1 - accumulated importance) of all shared parameters
    it is the factor of the head's gradients.
    """
    tensors = [tf.convert_to_tensor(tensor) for tensor in tensors]
    # Millions of float32 terms lose digits.
    sums = [tf.reduce_sum(tf.cast(t, tf.float64)) for t in tensors]
    count = tf.add_n([tf.size(t, tf.int64) for t in tensors])
    mean = tf.add_n(sums) / tf.cast(count, tf.float64)
    return tf.cast(mean, tensors[0].dtype)
