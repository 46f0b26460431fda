"""Values of weights that belong to tasks.

Everywhere: `owner` is uint8 in the kernel's shape, 0 for free weights and t
for those of the t-th task; `task` is the number of the task in training, an
integer or a uint8 scalar, from 1.

Source: Hung et al., "Compacting, Picking and Growing for Unforgetting
Continual Learning", NeurIPS 2019, and its published program.
"""

from __future__ import annotations

import functools
import typing

import tensorflow as tf

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tfcl.types import Tensor


_LARGE = 1 << 15  # Weights.


def claimed(owner: Tensor, task: Tensor) -> Tensor:
    """The owners once the task has taken every free weight."""
    task = tf.cast(task, tf.uint8)
    return tf.where(tf.equal(owner, 0), task, owner)


def fused_if_large(kernel: Tensor) -> Callable[..., Any]:
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


def without_foreign(kernel: Tensor, owner: Tensor, task: Tensor) -> Tensor:
    """The kernel with zeros for free weights and those of later tasks."""
    known = tf.less_equal(owner, tf.cast(task, tf.uint8))
    known &= tf.not_equal(owner, 0)
    kernel = tf.convert_to_tensor(kernel)
    return tf.where(known, kernel, tf.zeros_like(kernel))
