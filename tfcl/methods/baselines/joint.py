"""Training on all tasks so far at once: the upper reference."""

from __future__ import annotations

import dataclasses
import typing

import gin
import numpy as np
import tensorflow as tf

from tfcl.arguments import checked
from tfcl.data.split import joined
from tfcl.methods.shared_backbone import SharedBackboneMethod
from tfcl.methods.tensor_norms import trained_weights

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.task import StreamSpec, Task
    from tfcl.layers.task_head import TaskHead
    from tfcl.methods.base import Batch
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.tensor_norms import TensorNorms
    from tfcl.methods.work import Phases
    from tfcl.models.network import TaskNetwork
    from tfcl.types import Tensor, Values


@gin.configurable
class Joint(SharedBackboneMethod):
    """Multi-task learning: task t trains on the data of tasks 1..t.

    One backbone and hidden layers for all; the output layer has one column per
    class of every task, and an example's loss looks at its own task's columns
    only; or, with one head, at all classes so far. Gives `J[k]` of
    intransigence. A phase is validated on the validation data of all tasks that
    it trains on, each with its own columns.

    Args:
        training: `TaskTraining`; its epochs count passes over the joined
            data, so a task costs the more the later it comes.
        warm_start: True goes on from the last task's weights, False starts
            anew at every task.
        tensor_norms: Optional `TensorNorms`: a penalty on all that is
            trained; of the output layer, on the columns of tasks 1..t.
        every_task: False trains once, when the stream's last task is known.
            The tasks before it are only noted: their rows of R are those of
            the untrained network, and the last row is the result.
        heads: As of `SharedBackboneMethod`.
        **options: Arguments of `TaskTraining`, in place of `training`.
    """

    decays_weights = True
    needs_earlier_data = True

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        warm_start: bool = False,
        tensor_norms: TensorNorms | None = None,
        every_task: bool = True,
        heads: str | None = None,
        **options: Any,
    ):
        super().__init__(training, heads, **options)
        self.warm_start = warm_start
        self.tensor_norms = tensor_norms
        self.every_task = every_task
        self._trained_tasks = 0
        self._offsets = np.zeros(0, np.int64)

    def setup(self, spec: StreamSpec, seed: int) -> None:
        self.spec = spec
        counts = np.asarray(spec.class_counts) * self.needs_task
        self._offsets = np.cumsum(counts) - counts
        super().setup(spec, seed)

    def make_head(self, spec: StreamSpec) -> TaskHead:
        if not self.needs_task:
            return super().make_head(spec)
        return self.training.head(spec.max_classes, sum(spec.class_counts))

    def divide(self, network: TaskNetwork) -> None:
        self.share_head(network)

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        known = len(task.earlier) + 1
        whole = known == self.spec.num_tasks
        self._trained_tasks = known if self.every_task or whole else 0
        if self._trained_tasks and not self.warm_start:
            self.redraw(self.shared, "shared", task.index)
        if not self.needs_task:
            return
        first = int(self._offsets[task.index])
        self.head.use_columns(range(first, first + task.num_classes))

    def resume_task(self, task: Task, values: Values) -> None:
        self.begin_task(task)  # Nothing that it has learned is its own.

    def phases(self, task: Task) -> Phases:
        if not self._trained_tasks:
            return
        # In their order also when the task is seen again: an example's group
        # says whose columns are its own.
        tasks = sorted((*task.earlier, task), key=lambda known: known.index)
        offsets = [self._offsets[t.index] for t in tasks]
        phase = self.training.phase(
            "joint", joined([t.train for t in tasks], offsets)
        )
        yield dataclasses.replace(
            phase,
            validation=joined([t.validation for t in tasks], offsets),
            validation_logits=self.joint_logits,
        )

    def joint_logits(self, batch: Batch) -> Tensor:
        """Traced: logits of a `Batch` of joined data, without dropout."""
        features = self.features(batch.images, training=False)
        return self.training_logits(batch, features, None)

    def bank_notes(self) -> dict[str, Any]:
        if self.every_task:
            return {}
        if not self._trained_tasks:
            return {"configuration": "waits for the last task"}
        return {"configuration": f"{self._trained_tasks} tasks at once"}

    def normed_weights(self) -> list[Tensor]:
        # The columns of the tasks stand one behind the other.
        last = tf.reduce_max(self.head.columns.value)
        so_far = tf.range(self.head.num_outputs) <= last
        return trained_weights(self.shared, self.head, so_far)

    def training_logits(
        self, batch: Batch, features: Tensor, mask: Tensor | None
    ) -> Tensor:
        """All columns, but for those of other tasks than the example's."""
        if not self.needs_task:
            return super().training_logits(batch, features, mask)
        counts = self.spec.class_counts
        owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        own = tf.constant(owner)[None] == batch.tasks[:, None]
        return tf.where(own, self.head.outputs(features, mask), -1e9)
