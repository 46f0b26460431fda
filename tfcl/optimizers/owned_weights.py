"""Gradients and values of weights that belong to tasks.

Everywhere: `owner` is uint8 in the kernel's shape, 0 for free weights and t
for those of the t-th task; `task` is the number of the task in training, an
integer or a uint8 scalar, from 1.

Source: Hung et al., "Compacting, Picking and Growing for Unforgetting
Continual Learning", NeurIPS 2019, and its published program.
"""

import functools

import tensorflow as tf

_LARGE = 1 << 15  # Weights.


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


def gradients_through(
    gradient, kernel, owner, task, weight_decay=0.0, scores=True
):
    """`owned_gradient` and `score_gradient` from the gradient of `B(P) W`.

    Every weight trains either itself, where the task owns it and picks it in
    any case, or its score, where an earlier task does.

    Args:
        gradient: G = dL/d(B(P) W).
        kernel, owner, task, weight_decay: As of `owned_gradient`.
        scores: Whether the second one is wanted.

    Returns:
        List of the gradient of W and, if wanted, that of P.
    """
    kernel, owner = tf.convert_to_tensor(kernel), tf.convert_to_tensor(owner)
    task = tf.cast(task, tf.uint8)
    decay = tf.cast(weight_decay, kernel.dtype)
    treated = fused_if_large(kernel)(_treated)
    return treated(gradient, kernel, owner, task, decay, scores)


def _treated(gradient, kernel, owner, task, decay, scores):
    result = [owned_gradient(gradient, kernel, owner, task, decay)]
    if scores:
        result.append(score_gradient(gradient * kernel, owner, task))
    return result


def fused_if_large(kernel):
    """A decorator for functions that go over a kernel several times.

    Compiled by XLA, they go over it once. For small kernels compiling costs
    more than it saves: it leaves them as they are.
    """
    if (kernel.shape.num_elements() or 0) < _LARGE:
        return lambda function: function
    return _fused


@functools.cache
def _fused(function):
    return tf.function(function, jit_compile=True, autograph=False)


def without_foreign(kernel, owner, task):
    """The kernel with zeros for free weights and those of later tasks."""
    known = tf.less_equal(owner, tf.cast(task, tf.uint8))
    known &= tf.not_equal(owner, 0)
    kernel = tf.convert_to_tensor(kernel)
    return tf.where(known, kernel, tf.zeros_like(kernel))
