"""Retrieval policies: which rows of a buffer are replayed.

All draw without replacement, by the largest of random scores.
"""

import tensorflow as tf


def uniform_scores(capacity: int, seed: tf.Tensor) -> tf.Tensor:
    """Scores by which every row has the same chance.

    Args:
        capacity: Rows of the buffer.
        seed: int32 pair.

    Returns:
        float32 `(capacity,)` in [0, 1).
    """
    return tf.random.stateless_uniform([capacity], seed)


def per_class_scores(
    labels: tf.Tensor, kept: tf.Tensor, seed: tf.Tensor
) -> tf.Tensor:
    """Scores by which every class has the same share, as far as it goes.

    First comes one row of each class, then a second one of each that has two,
    and so on; which rows, and which classes of a round that is not complete,
    is drawn.

    Args:
        labels: Class of each row, integers `(capacity,)`.
        kept: Whether a row holds an example, booleans of that shape.
        seed: int32 pair.

    Returns:
        float32 `(capacity,)`: a draw less the rank inside the class.
    """
    # Two draws: the first of a large class would have the largest of many
    # numbers, and lead its round too often.
    shape = tf.stack([2, tf.size(labels)])
    inside, between = tf.unstack(tf.random.stateless_uniform(shape, seed))
    rivals = (labels[:, None] == labels) & kept
    before = rivals & (inside > inside[:, None])
    return between - tf.reduce_sum(tf.cast(before, tf.float32), axis=1)
