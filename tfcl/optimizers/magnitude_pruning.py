"""Pruning of the smallest weights of a task, at once or gradually.

A pruned weight becomes free (owner 0); its value is not touched. Per layer,
the candidates are the weights that the task owns and those that are free
already, so that a sparsity counts what was freed before.

All functions run in a graph as well. Notation as in `owned_weights`.

Source: Hung et al., "Compacting, Picking and Growing for Unforgetting
Continual Learning", NeurIPS 2019, and its published program; the ramp after
Zhu and Gupta, "To prune, or not to prune", arXiv:1710.01878, eq. 1; pruning
at once after Mallya and Lazebnik, "PackNet", CVPR 2018.
"""

from __future__ import annotations

import dataclasses
import typing

import tensorflow as tf

from tfcl.arguments import PositiveFloat, PositiveInt, checked
from tfcl.optimizers.owned_weights import fused_if_large

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.types import Tensor


_DIGIT = 11  # Bits per pass of `kth_smallest_magnitude`: 2048 counters.


@checked
@dataclasses.dataclass(frozen=True)
class GradualSparsity:
    """A ramp of sparsity over steps, with a pruning event every few steps.

    Args:
        initial: Sparsity s_i before the ramp, fraction 0-1.
        target: Sparsity s_f at its end.
        begin: First step b; there is no event at this step itself.
        end: Last step e. The target is reached exactly if `frequency`
            divides `end - begin`.
        frequency: Steps f between events.
        exponent: Of the ramp.

    Raises:
        ValueError: If an argument is out of range.
    """

    initial: float
    target: float
    begin: int
    end: int
    frequency: PositiveInt = 10
    exponent: PositiveFloat = 3.0

    def __post_init__(self):
        if not 0.0 <= self.initial <= self.target <= 1.0:
            raise ValueError(
                "Arguments `initial` and `target` must fulfil 0 <= initial "
                f"<= target <= 1. Received: initial={self.initial}, "
                f"target={self.target}"
            )
        if not 0 <= self.begin < self.end:
            raise ValueError(
                "Arguments `begin` and `end` must fulfil 0 <= begin < end. "
                f"Received: begin={self.begin}, end={self.end}"
            )

    def vector(self) -> Tensor:
        """The six numbers in a float64 tensor, as the functions take them.

        A program that lives through several ramps keeps them in a float64
        variable `(6,)`: one trace serves all.
        """
        return tf.constant(dataclasses.astuple(self), tf.float64)


def sparsity_at(step: Tensor, schedule: Tensor) -> Tensor:
    """`s_f + (s_i - s_f) (1 - p)^exponent`, float64 scalar.

    `p = (step - b) / (e - b)`, held in [0, 1].

    Args:
        step: Integer scalar.
        schedule: Float64 `(6,)`, see `GradualSparsity.vector`.
    """
    initial, target, begin, end, _, exponent = tf.unstack(schedule)
    part = (tf.cast(step, tf.float64) - begin) / (end - begin)
    part = tf.clip_by_value(part, 0.0, 1.0)
    return target + (initial - target) * tf.pow(1.0 - part, exponent)


def is_event(step: Tensor, schedule: Tensor) -> Tensor:
    """Whether weights are pruned after a step: b + f, b + 2 f, ... <= e."""
    _, _, begin, end, frequency, _ = tf.unstack(schedule)
    step = tf.cast(step, tf.float64)
    due = tf.equal(tf.math.floormod(step - begin, frequency), 0.0)
    return due & (step > begin) & (step <= end)


def prune_gradually(
    kernels: Sequence[Any],
    owners: Sequence[Any],
    task: Tensor,
    step: Tensor,
    schedule: Tensor,
) -> list[Tensor]:
    """The owners after a step: pruned at an event, else as they are.

    Args:
        kernels, owners: One of each per layer, variables or tensors.
        task: Number of the task in training.
        step: Steps done in this ramp before this one.
        schedule: Float64 `(6,)`, see `GradualSparsity.vector`.

    Returns:
        List of uint8 tensors.
    """
    return tf.cond(
        is_event(step, schedule),
        lambda: prune_at_once(
            kernels, owners, task, sparsity_at(step, schedule)
        ),
        lambda: [tf.identity(owner) for owner in owners],
    )


def prune_at_once(
    kernels: Sequence[Any],
    owners: Sequence[Any],
    task: Tensor,
    sparsity: Tensor,
) -> list[Tensor]:
    """The owners after one pruning of every layer to the same sparsity.

    Per layer, with n candidates: `k = round(sparsity n)` (half to even); the
    task's own weights whose magnitude is at most the k-th smallest among
    the candidates become free. Ties at the cut all go. With k = 0 nothing is
    pruned.

    Note:
        The published program stops where k = 0; small layers meet that at
        the first event of a ramp.

    Args:
        kernels, owners: One of each per layer, variables or tensors.
        task: Number of the task in training.
        sparsity: Fraction 0-1, float64 for the ranks of the published program.

    Returns:
        List of uint8 tensors.
    """
    return [
        _pruned(tf.convert_to_tensor(kernel), owner, task, sparsity)
        for kernel, owner in zip(kernels, owners)
    ]


def _pruned(kernel, owner, task, sparsity):
    owner, task = tf.convert_to_tensor(owner), tf.cast(task, tf.uint8)
    fuse = fused_if_large(kernel)
    candidates = fuse(_candidates)(owner, task)
    count = fuse(_count)(candidates)
    rank = prune_rank(sparsity, count)
    cut = kth_smallest_magnitude(kernel, candidates, tf.maximum(rank, 1))
    return fuse(_freed)(kernel, owner, task, cut, rank > 0)


def _candidates(owner, task):
    return tf.equal(owner, task) | tf.equal(owner, 0)


def _count(marks):
    return tf.reduce_sum(tf.cast(marks, tf.int32))


def _freed(kernel, owner, task, cut, anything):
    small = tf.equal(owner, task) & (tf.abs(kernel) <= cut) & anything
    return tf.where(small, tf.zeros_like(owner), owner)


def prune_rank(sparsity: Any, count: int) -> Tensor:
    """`round(sparsity count)`, half to even, int32."""
    if not tf.is_tensor(sparsity):
        # A cast would lead it through float32.
        sparsity = tf.constant(sparsity, tf.float64)
    product = tf.cast(sparsity, tf.float64) * tf.cast(count, tf.float64)
    return tf.cast(tf.round(product), tf.int32)


def kth_smallest_magnitude(
    values: Tensor, candidates: Tensor, rank: Tensor
) -> Tensor:
    """The `rank`-th smallest `|values|` among the candidates, exactly.

    The bits of non-negative floats, read as integers, are in the order of
    the floats. They are found digit by digit, most significant first, by
    counting how many candidates have which digit. Only those that have the
    digits found so far go on to the next one.

    Args:
        values: Float tensor.
        candidates: Boolean tensor of the same shape, `rank` of them at least.
        rank: Counts from 1; int32 scalar.

    Returns:
        Scalar of the dtype of `values`.
    """
    integer = tf.int64 if values.dtype == tf.float64 else tf.int32
    found, left = tf.zeros((), integer), integer.size * 8 - 1
    while left:
        width = min(_DIGIT, left)
        left -= width
        digits_of = fused_if_large(values)(_digits)
        digits = digits_of(values, candidates, width, left)
        up_to = tf.cumsum(_histogram(digits, 1 << width))
        digit = tf.math.count_nonzero(up_to < rank, dtype=tf.int32)
        rank -= tf.reduce_max(tf.where(up_to < rank, up_to, 0))
        found = found * (1 << width) + tf.cast(digit, integer)
        # Few have the first digit: the other passes cost nothing.
        values = tf.boolean_mask(values, tf.equal(digits, digit))
        candidates = tf.ones_like(values, tf.bool)
    return tf.bitcast(found, values.dtype)


def _digits(values, candidates, width, left):
    """`width` bits of each candidate's magnitude, int32; 2^width of others.

    `left` bits stand behind them.
    """
    integer = tf.int64 if values.dtype == tf.float64 else tf.int32
    bits = tf.bitcast(tf.abs(values), integer)
    shifted = tf.bitwise.right_shift(bits, tf.constant(left, integer))
    ones = tf.constant((1 << width) - 1, integer)
    digits = tf.cast(tf.bitwise.bitwise_and(shifted, ones), tf.int32)
    return tf.where(candidates, digits, 1 << width)


def _histogram(digits, size):
    """How often 0, ..., size - 1 occur; other digits do not count."""
    # tf.math.bincount looks for the largest one first, which costs a pass
    # and cannot be compiled by XLA.
    return tf.raw_ops.DenseBincount(
        input=tf.reshape(digits, [-1]),
        size=size,
        weights=tf.zeros([0], tf.int32),
        binary_output=False,
    )
