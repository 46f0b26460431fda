"""Gradients and values of weights that belong to tasks.

Everywhere: `owner` is uint8 in the kernel's shape, 0 for free weights and t
for those of the t-th task; `task` is the number of the task in training, an
integer or a uint8 scalar, from 1.

Source: Hung et al., "Compacting, Picking and Growing for Unforgetting
Continual Learning", NeurIPS 2019, and its published program.
"""

import tensorflow as tf


def claimed(owner, task):
    """The owners once the task has taken every free weight."""
    task = tf.cast(task, tf.uint8)
    return tf.where(tf.equal(owner, 0), task, owner)


def owned_gradient(gradient, kernel, owner, task, weight_decay=0.0):
    """The gradient that trains a kernel: the task's own weights alone.

    `g + weight_decay W` where the task owns the weight, exactly 0 elsewhere,
    so that momentum stays 0 there too.

    Args:
        gradient: dL/dW.
        kernel: W.
        owner, task: See above.
        weight_decay: lambda. Where replicas sum their gradients, lambda
            divided by their number.
    """
    decayed = gradient + weight_decay * tf.convert_to_tensor(kernel)
    mine = tf.equal(owner, tf.cast(task, tf.uint8))
    return tf.where(mine, decayed, tf.zeros_like(decayed))


def score_gradient(gradient, owner, task):
    """The gradient that trains picking scores: at weights of earlier tasks."""
    earlier = tf.less(owner, tf.cast(task, tf.uint8)) & tf.not_equal(owner, 0)
    return tf.where(earlier, gradient, tf.zeros_like(gradient))


def without_foreign(kernel, owner, task):
    """The kernel with zeros for free weights and those of later tasks."""
    known = tf.less_equal(owner, tf.cast(task, tf.uint8))
    known &= tf.not_equal(owner, 0)
    kernel = tf.convert_to_tensor(kernel)
    return tf.where(known, kernel, tf.zeros_like(kernel))
