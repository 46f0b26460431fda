"""The straight-through gradient of picked weights, forward and backward.

A kernel W, its owners A (uint8 in its shape, 0 for free weights and t for those
of the t-th task), picking scores P, and the number t of the task in training,
from 1. The task computes with `W_eff = B(P) W`. From `G = dL/dW_eff` follow

    dL/dW = B(P) G    and    dL/dP = W G,

as if B had the derivative 1 (not clipped, W not masked). Of these, W learns
where `A = t`, and P where `1 <= A < t`: a task picks what it owns in any case,
so that B = 1 there and `dL/dW` is G itself.

Source: Hung et al., "Compacting, Picking and Growing for Unforgetting
Continual Learning", NeurIPS 2019, and its published program; the scores after
Mallya et al., "Piggyback", ECCV 2018.
"""

import keras
import tensorflow as tf


def picks_of(scores: tf.Tensor, threshold: float = 0.005) -> tf.Tensor:
    """B(P): true where a score is above the threshold, strictly."""
    scores = keras.ops.convert_to_tensor(scores)
    # A cast would lead a float64 threshold through float32.
    return keras.ops.greater(
        scores, keras.ops.convert_to_tensor(threshold, scores.dtype)
    )


def picked(
    kernel: tf.Tensor, scores: tf.Tensor, threshold: float = 0.005
) -> tf.Tensor:
    """`W_eff = B(P) W`, which passes G on as the gradient of W.

    Scores get no gradient here: `straight_through` makes both of them from G,
    and so needs one pass over the weights instead of four.

    Args:
        kernel: W.
        scores: P, in its shape.
        threshold: tau.
    """
    picks = keras.ops.cast(picks_of(scores, threshold), kernel.dtype)
    picks = keras.ops.stop_gradient(picks)

    @keras.ops.custom_gradient
    def product(kernel):
        return kernel * picks, lambda upstream: upstream

    # A value, not a variable, which a custom gradient would ask about.
    return product(keras.ops.copy(kernel))


def straight_through(
    gradient: tf.Tensor,
    kernel: tf.Tensor,
    owner: tf.Tensor,
    task: int | tf.Tensor,
    weight_decay: float | tf.Tensor = 0.0,
    scores: bool = True,
) -> list[tf.Tensor]:
    """The gradients that train weights and scores, from that of `W_eff`.

    Every weight trains either itself, where the task owns it, or its score,
    where an earlier task does. Compiled (`fused_if_large`), it is one pass.

    Args:
        gradient: G.
        kernel: W.
        owner: A.
        task: t, an integer or a uint8 scalar.
        weight_decay: lambda, see `owned_gradient`.
        scores: Whether the second one is wanted.

    Returns:
        List of the gradient of W and, if wanted, that of P; in the kernel's
        shape and dtype.
    """
    result = [owned_gradient(gradient, kernel, owner, task, weight_decay)]
    if scores:
        result.append(score_gradient(gradient * kernel, owner, task))
    return result


def owned_gradient(
    gradient: tf.Tensor,
    kernel: tf.Tensor,
    owner: tf.Tensor,
    task: int | tf.Tensor,
    weight_decay: float | tf.Tensor = 0.0,
) -> tf.Tensor:
    """The gradient that trains a kernel: the task's own weights alone.

    `g + weight_decay W` where the task owns the weight, exactly 0 elsewhere,
    so that momentum stays 0 there too.

    Args:
        gradient: dL/dW.
        kernel, owner, task: W, A, t.
        weight_decay: lambda. Where replicas sum their gradients, lambda
            divided by their number.
    """
    decayed = gradient + weight_decay * tf.convert_to_tensor(kernel)
    mine = tf.equal(owner, tf.cast(task, tf.uint8))
    return tf.where(mine, decayed, tf.zeros_like(decayed))


def score_gradient(
    gradient: tf.Tensor, owner: tf.Tensor, task: int | tf.Tensor
) -> tf.Tensor:
    """The gradient that trains scores: dL/dP at weights of earlier tasks."""
    earlier = tf.less(owner, tf.cast(task, tf.uint8)) & tf.not_equal(owner, 0)
    return tf.where(earlier, gradient, tf.zeros_like(gradient))
