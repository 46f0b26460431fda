"""Classifier alignment: heads of different tasks learn to be compared.

Source: Zhang et al., "SLCA: Slow Learner with Classifier Alignment for
Continual Learning on a Pre-trained Model", ICCV 2023, and the program of
Memory Head (Tiezzi et al., CoLLAs 2024), which builds on it.
"""

from __future__ import annotations

import typing

import gin
import numpy as np
import tensorflow as tf

from tfcl.arguments import NonNegativeFloat, PositiveInt, checked
from tfcl.methods.base import cross_entropy
from tfcl.methods.work import Phase
from tfcl.models.variables import statistic
from tfcl.optimizers.schedules import CosineDecay, ScheduleLike, schedule_of

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tfcl.data.split import Split
    from tfcl.layers.memory.memory_update import Reading
    from tfcl.methods.base import Batch, Update
    from tfcl.methods.class_incremental.class_statistics import ClassStatistics
    from tfcl.methods.class_incremental.task_heads import TaskHeads
    from tfcl.types import Tensor


def aligned_logits(
    logits: Tensor, tasks: Any, num_tasks: int, temperature: float
) -> Tensor:
    """Logits over the mean length of the tasks' logits.

    Args:
        logits: `(b, classes)`, those of classes not seen masked by -1e9.
        tasks: Task of each class, int32 `(classes,)`; -1 for one not seen.
        num_tasks: Tasks seen, scalar.
        temperature: Divides the result; 0 leaves the logits as they are.
    """
    if not temperature:
        return logits
    seen = tf.cast(tasks >= 0, logits.dtype)
    squares = tf.square(logits * seen)
    per_task = tf.math.unsorted_segment_sum(
        tf.transpose(squares), tasks, tf.size(tasks)
    )
    # A length of 0 has no derivative.
    lengths = tf.sqrt(tf.where(per_task > 0, per_task, 1.0))
    lengths = tf.where(per_task > 0, lengths, 0.0) + 1e-7
    here = tf.cast(tf.range(tf.size(tasks)) < num_tasks, logits.dtype)
    mean = tf.reduce_sum(lengths * here[:, None], axis=0)
    mean /= tf.cast(num_tasks, logits.dtype)
    return logits / mean[:, None] / temperature


def mean_factors(tasks: Any, current: Tensor) -> Tensor:
    """What shrinks the means of older classes: 0.9 + 0.1 (t_c + 1) / (t + 1).

    Args:
        tasks: Task t_c of each class, int32 tensor.
        current: Number t of the task in hand, int32 scalar.
    """
    tasks, current = tf.cast(tasks, tf.float32), tf.cast(current, tf.float32)
    return 0.9 + 0.1 * (tasks + 1.0) / (current + 1.0)


@gin.configurable
class ClassifierAlignment:
    """Stage 2 of a class-incremental method: how its heads are aligned.

    Args:
        schedule: Of the heads' rate, or a number; None takes
            `CosineDecay(0.01)`.
        epochs: Passes over as many steps as there are classes seen.
        size: Features drawn per class and epoch; also those of a step.
        temperature: Of the logits, which it divides after they were divided
            by their length; 0 takes them as they are.
        decay_by_current: The task of a class, by which its mean decays, is
            its number over the size of the newest task, as in the published
            program: wrong where sizes differ.

    Raises:
        ValueError: If an argument is out of range.
    """

    @checked
    def __init__(
        self,
        schedule: ScheduleLike | None = None,
        epochs: PositiveInt = 5,
        size: PositiveInt = 256,
        temperature: NonNegativeFloat = 0.1,
        decay_by_current: bool = False,
    ):
        if schedule is None:
            schedule = CosineDecay(0.01)
        self.schedule = schedule_of(schedule)
        self.epochs = epochs
        self.size = size
        self.temperature = temperature
        self.decay_by_current = decay_by_current

    def phase(
        self, step: Callable[[Batch], Update], split: Split, classes: int
    ) -> Phase:
        """The `Phase` after a task.

        Args:
            step: Function from `Batch` to `Update`, without images.
            split: Any `Split`: steps draw features and look at no image.
            classes: Number of classes seen, each of which makes a step.
        """
        return Phase(
            "alignment",
            self.epochs,
            {"main": self.schedule},
            steps=(step,),
            data=split.taken(np.arange(classes) % len(split)),
            batch_size=1,
            validate_every=0,
        )

    def loss(
        self,
        heads: TaskHeads,
        statistics: ClassStatistics,
        labels: Tensor,
        current: Tensor,
        seed: Tensor,
    ) -> tuple[Tensor, Tensor, Reading | None]:
        """Loss of features drawn for labels, accuracy, and their `Reading`.

        Args:
            heads: `TaskHeads`.
            statistics: `ClassStatistics`.
            labels: int32 `(b,)`.
            current: Number of the newest task, int32 scalar.
            seed: int32 pair.
        """
        tasks = tf.gather(heads.tasks, labels)
        if self.decay_by_current:
            tasks = labels // heads.size(current)
        factors = mean_factors(tasks, current)
        features = statistics.drawn(labels, factors, seed)
        logits, reading = heads.read(features)
        logits = heads.known(logits, current)
        tasks = tf.where(heads.tasks <= current, heads.tasks, -1)
        aligned = aligned_logits(logits, tasks, current + 1, self.temperature)
        loss = tf.reduce_mean(cross_entropy(labels, aligned))
        right = tf.argmax(logits, -1, output_type=tf.int32) == labels
        return loss, tf.reduce_mean(tf.cast(right, tf.float32)), reading


class AlignmentOrder:
    """Labels to draw for: each class seen equally often in every epoch.

    Args:
        classes: Number of classes of the stream.
        size: Draws per class and epoch, and in a step.

    Attributes:
        state: Variables that a checkpoint must hold.
    """

    def __init__(self, classes: int, size: int):
        self._size = size
        self._slots = np.repeat(np.arange(classes, dtype=np.int32), size)
        # The labels of an epoch, in an order that its first step draws.
        self._order = statistic(np.zeros(len(self._slots)), "order", "int32")
        self.state = [self._order]

    def labels(
        self, seen: Tensor, step: Tensor, seed: Tensor
    ) -> tuple[Tensor, Callable[[], Any]]:
        """Traced: the labels of a step.

        Args:
            seen: Number of classes seen, int32 scalar.
            step: Number of the step in its epoch, below `seen`.
            seed: int32 pair of the step.

        Returns:
            int32 `(size,)`, and a function that keeps the epoch's order.
        """

        def drawn():
            place = tf.random.stateless_uniform([len(self._slots)], seed)
            # Classes that were not seen come last.
            place += tf.cast(self._slots >= seen, tf.float32)
            return tf.gather(self._slots, tf.argsort(place))

        kept = tf.convert_to_tensor(self._order)
        order = tf.cond(step == 0, drawn, lambda: kept)
        labels = order[step * self._size : (step + 1) * self._size]
        return labels, lambda: self._order.assign(order)
