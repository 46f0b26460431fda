"""Methods whose tasks share the output layer, too, whatever the scenario."""

from __future__ import annotations

import typing

import numpy as np
import tensorflow as tf

from tfcl.methods.shared_backbone import SharedBackboneMethod

if typing.TYPE_CHECKING:
    import keras

    from tfcl.data.task import StreamSpec, Task
    from tfcl.layers.task_head import TaskHead
    from tfcl.models.network import TaskNetwork
    from tfcl.types import Tensor


class SharedOutputMethod(SharedBackboneMethod):
    """One backbone and one output layer with a column for every class.

    Where test images come with their task, each task has columns of its own
    in that layer, one task's behind the other's, and answers by these. So all
    that the network says of an image is one vector, of one width from the
    first task on. A task owns no more than the numbers of its columns.

    Args: As of `SharedBackboneMethod`.
    """

    def setup(self, spec: StreamSpec, seed: int) -> None:
        self.spec = spec
        counts = spec.class_counts
        if not self.needs_task:  # All columns are everyone's.
            counts = (spec.max_classes,)
        # The task of each column.
        self._owner = np.repeat(np.arange(len(counts)), counts)
        super().setup(spec, seed)

    def make_head(self, spec: StreamSpec) -> TaskHead:
        return self.training.head(spec.max_classes, len(self._owner))

    def divide(self, network: TaskNetwork) -> None:
        self.share_head(network)

    @property
    def widening(self) -> list[keras.Variable]:
        return [self.head.kernels[-1], self.head.biases[-1]]

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        if self.needs_task:
            self.head.use_columns(np.flatnonzero(self._owner == task.index))

    def columns_of(self, labels: Tensor) -> Tensor:
        """Traced: columns of the labels of the task in hand, int32 `(b,)`."""
        return tf.gather(tf.convert_to_tensor(self.head.columns), labels)

    def among_rivals(self, outputs: Tensor, columns: Tensor) -> Tensor:
        """Traced: outputs in which each example's class competes with those
        that a test image of its task may be.

        Args:
            outputs: Of the output layer, `(b, num_outputs)`.
            columns: Column of each example's class, int32 `(b,)`.

        Returns:
            `outputs`, -1e9 in columns of other tasks, or of classes to come.
        """
        owner = tf.constant(self._owner, tf.int32)
        if self.needs_task:
            rivals = owner == tf.gather(owner, columns)[:, None]
        else:
            last = tf.reduce_max(tf.convert_to_tensor(self.head.columns))
            rivals = tf.range(len(self._owner)) <= last
        return tf.where(rivals, outputs, -1e9)
