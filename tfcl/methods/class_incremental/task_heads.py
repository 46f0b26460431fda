"""One head per task in a single layer, and which of them may change."""

from __future__ import annotations

import typing
from typing import Annotated

import keras
import numpy as np
import tensorflow as tf

from tfcl.arguments import checked, one_of
from tfcl.errors import UserError
from tfcl.layers.memory.memory_options import grouped
from tfcl.layers.memory.task_memories import TaskMemories

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from tfcl.layers.memory.memory_update import Reading
    from tfcl.types import Tensor


MEMORY, LINEAR = "memory", "linear"
KINDS = (MEMORY, LINEAR)
NONE, FIRST, ALL = "none", "first", "all"  # Old heads that scramble units.
_NOT_SEEN = -1e9


class TaskHeads:
    """Heads of all tasks of a class-incremental stream.

    Args:
        kind: "memory" or "linear".
        sizes: Classes of each task, in their order.
        memory: `{option: value}` of a `MemoryDense`
            (`tfcl.layers.memory.memory_options`).

    Attributes:
        layer: `TaskMemories`, or SLCA's `keras.layers.Dense`: from features
            `(b, d)` to logits `(b, classes)`.
        sizes: As given.
        tasks: Task of each class, int32 `(classes,)`.
    """

    @checked
    def __init__(
        self,
        kind: Annotated[str, one_of(*KINDS)],
        sizes: Sequence[int],
        memory: Mapping[str, Any],
    ):
        self.sizes = tuple(sizes)
        self.tasks = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
        self._firsts = np.cumsum([0, *sizes[:-1]]).astype(np.int32)
        self._is_memory = kind == MEMORY
        if self._is_memory:
            self.layer = TaskMemories(sizes, name="heads", **grouped(memory))
        else:
            normal = keras.initializers.TruncatedNormal(stddev=0.02)
            self.layer = keras.layers.Dense(
                sum(sizes), kernel_initializer=normal, name="heads"
            )

    def check_follows(self, sizes: Sequence[int]) -> None:
        """Refuses to go on from heads of which these are no continuation.

        Args:
            sizes: Classes of each task of the stream that was learned.

        A memory's units are as long as the largest task is wide. A wider one
        makes all of them longer at their end, which the tasks before never
        read; with `layer_norm`, gains and offsets stand there.

        Raises:
            UserError: If tasks differ, or units that end in gains and offsets
                would change their length.
        """
        known = tuple(sizes)
        if self.sizes[: len(known)] != known:
            raise UserError(
                f"The run has learned tasks of {known} classes, but the stream "
                f"and `classes_per_task` now give {self.sizes}. Keep them, and "
                "put new tasks behind them."
            )
        if not self._is_memory or max(self.sizes) <= max(known):
            return
        if self.layer.memory.layer_norm is not None:
            raise UserError(
                "Heads of memories with `layer_norm` are as wide as the "
                f"largest task, {max(known)} classes in this run, and a new "
                f"task has {max(self.sizes)}. Cut it into tasks of at most "
                f"{max(known)} classes, or start a new run."
            )

    def classes_of(self, task: int) -> tuple[int, int]:
        """Smallest class of a task, and how many it has, integers."""
        return int(self._firsts[task]), self.sizes[task]

    def first(self, current: Tensor) -> Tensor:
        """Smallest class of a task; scalar, as `current`."""
        return tf.gather(self._firsts, current)

    def seen(self, current: Tensor) -> Tensor:
        """Number of classes of the tasks up to one."""
        return self.first(current) + self.size(current)

    def size(self, current: Tensor) -> Tensor:
        """Number of classes of a task."""
        return tf.gather(np.array(self.sizes, np.int32), current)

    def read(self, features: Tensor) -> tuple[Tensor, Reading | None]:
        """Logits in a training step, and the `Reading` of a memory."""
        if self._is_memory:
            return self.layer.read(features)
        return self.layer(features), None

    def own(self, logits: Tensor, current: Tensor) -> Tensor:
        """Logits, those of other tasks' classes masked."""
        return tf.where(self.tasks == current, logits, _NOT_SEEN)

    def known(self, logits: Tensor, current: Tensor) -> Tensor:
        """Logits, those of later tasks' classes masked."""
        return tf.where(self.tasks <= current, logits, _NOT_SEEN)

    def changed(
        self, new: Tensor, old: Tensor, tasks: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """The new values of some tasks' key sets, the old of all others.

        Args:
            new, old: Values of a variable of `TaskMemories`.
            tasks: Function from the numbers of all tasks to booleans.
        """
        count = len(self.sizes)
        shape = tf.shape(old)
        new, old = (tf.reshape(v, [count, -1]) for v in (new, old))
        chosen = tasks(tf.range(count))[:, None]
        return tf.reshape(tf.where(chosen, new, old), shape)

    def updated_values(
        self,
        before: Sequence[Tensor],
        after: Callable[..., Sequence[Tensor]],
        places: Sequence[int],
        current: Tensor,
        old_scrambles: str,
    ) -> list[Tensor]:
        """Values after the own update of a network, where they may change.

        The backbone's may; of the heads those of the current key set, and of
        old ones as `old_scrambles` says.

        Args:
            before: Values of the network's variables.
            after: Function from them to the updated values, which takes
                changes of the memories' `UpdateRule`.
            places: Of the memories' variables among them.
            current: Number of the newest task, int32 scalar.
            old_scrambles: "none", "first" or "all".
        """
        values = [
            self.changed(new, old, lambda task: task == current)
            if place in places and new is not old
            else new
            for place, (new, old) in enumerate(zip(after(before), before))
        ]
        if old_scrambles == NONE:
            return values
        last = 1 if old_scrambles == FIRST else len(self.sizes)
        scrambled = after(before, key_rate=0.0)
        for place in places:
            values[place] = self.changed(
                scrambled[place],
                values[place],
                lambda task: (task < current) & (task < last),
            )
        return values

    def after(
        self, reading: Reading, places: Sequence[int], seed: Tensor
    ) -> Callable[..., list[Tensor]]:
        """The function `after` of `updated_values`, of these heads."""

        def updated(values, **changes):
            state = self.layer.state_of([values[place] for place in places])
            state = self.layer.updated(state, reading, seed, **changes)
            changed = dict(zip(places, state))
            return [changed.get(k, value) for k, value in enumerate(values)]

        return updated

    def trained(
        self, gradient: Tensor, tasks: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """A gradient, 0 where it belongs to a task that is not trained.

        Args:
            gradient: Dense, of a variable of the layer.
            tasks: As of `changed`.
        """
        # Tasks lie along the first axis of a memory, and along the last one
        # of a dense layer.
        if not self._is_memory:
            return gradient * tf.cast(tasks(self.tasks), gradient.dtype)
        rows = gradient.shape[0]
        owner = tf.range(rows) // (rows // len(self.sizes))
        mine = tf.cast(tasks(owner), gradient.dtype)
        mine = tf.reshape(mine, [-1, *[1] * (len(gradient.shape) - 1)])
        return gradient * mine
