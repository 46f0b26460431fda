"""Gradients gathered over several steps before they are applied."""

from __future__ import annotations

import typing

import numpy as np
import tensorflow as tf

from tfcl.models.variables import statistic

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.models.variables import Owned
    from tfcl.types import Tensor


class VirtualBatch:
    """Sums the gradients of a few steps, each over their number.

    The last step of an epoch applies what there is, over the same number.

    Args:
        owned: `Owned` variables that are trained.
        steps: Steps of one application; 1 applies each.

    Attributes:
        state: Variables that a checkpoint must hold.
    """

    def __init__(self, owned: Sequence[Owned], steps: int):
        self._steps = steps
        self._last = statistic(-1, "last_step", "int32")
        self._sums = []
        if steps > 1:
            self._sums = [
                statistic(np.zeros(v.shape), "gathered", v.dtype)
                for v in (item.variable for item in owned)
            ]
        self.state = [self._last, *self._sums]

    def begin_task(self, steps_per_epoch: int) -> None:
        """Forgets what was gathered."""
        self._last.assign(steps_per_epoch - 1)
        for variable in self._sums:
            variable.assign(tf.zeros_like(variable))

    def gathered(self, gradients: Sequence[Tensor], step: Any) -> Any:
        """Traced: what is to be applied, when, and how it is kept.

        Args:
            gradients: Of this step, in the order of `owned`.
            step: Its number in the epoch, int32 scalar.

        Returns:
            Sums, dense; whether they are applied now, boolean scalar, or
            None for always; a function that assigns what is kept, or None.
        """
        if self._steps == 1:
            return gradients, None, None
        sums = [
            tf.convert_to_tensor(kept) + tf.convert_to_tensor(g) / self._steps
            for kept, g in zip(self._sums, gradients)
        ]
        full = (step + 1) % self._steps == 0
        due = full | (step == tf.convert_to_tensor(self._last))

        def keep():
            for variable, value in zip(self._sums, sums):
                variable.assign(tf.where(due, tf.zeros_like(value), value))

        return sums, due, keep
