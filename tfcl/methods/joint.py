"""Training on all tasks so far at once: the upper reference."""

import gin
import numpy as np
import tensorflow as tf

from tfcl.data.split import joined
from tfcl.methods.network_method import NetworkMethod, added
from tfcl.methods.tensor_norms import trained_weights


@gin.configurable
class Joint(NetworkMethod):
    """Multi-task learning: task t trains on the data of tasks 1..t.

    One trunk and hidden layers for all; the output layer has one column per
    class of every task, and an example's loss looks at its own task's columns
    only. Gives `J[k]` of intransigence.

    Args:
        training: `TaskTraining`; its epochs count passes over the joined
            data, so a task costs the more the later it comes.
        warm_start: True goes on from the last task's weights, False starts
            anew at every task.
        tensor_norms: Optional `TensorNorms`: a penalty on all that is
            trained; of the output layer, on the columns of tasks 1..t.
    """

    decays_weights = True

    def __init__(
        self,
        training=gin.REQUIRED,
        warm_start: bool = False,
        tensor_norms=None,
    ):
        super().__init__(training)
        self.warm_start = warm_start
        self.tensor_norms = tensor_norms
        self._offsets = np.zeros(0, np.int64)

    def setup(self, spec, seed):
        ends = np.cumsum(spec.class_counts)
        self._offsets = ends - np.asarray(spec.class_counts)
        super().setup(spec, seed)

    def make_head(self, spec):
        return self.training.head(spec.max_classes, sum(spec.class_counts))

    def divide(self, network):
        columns = f"{network.head.name}/columns"
        self.shared = network.trunk_variables + [
            v for v in network.head_variables if v.name != columns
        ]
        self.slot = [v for v in network.head_variables if v.name == columns]

    def begin_task(self, task):
        super().begin_task(task)
        if not self.warm_start:
            self.redraw(self.shared, "shared", task.index)
        first = int(self._offsets[task.index])
        self.head.use_columns(range(first, first + task.num_classes))

    def resume_task(self, task, values):
        self.begin_task(task)  # Nothing that it has learned is its own.

    def phases(self, task):
        tasks = (*task.earlier, task)
        offsets = [self._offsets[t.index] for t in tasks]
        data = joined([t.train for t in tasks], offsets)
        yield self.training.phase("joint", data)

    def penalty(self):
        if self.tensor_norms is None:
            return super().penalty()
        # The columns of the tasks stand one behind the other.
        last = tf.reduce_max(self.head.columns.value)
        so_far = tf.range(self.head.num_outputs) <= last
        trained = trained_weights(self.shared, self.head, so_far)
        return added([super().penalty(), self.tensor_norms(trained)])

    def training_logits(self, batch, features, mask):
        """All columns, but for those of other tasks than the example's."""
        counts = self.spec.class_counts
        owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        own = tf.constant(owner)[None] == batch.tasks[:, None]
        return tf.where(own, self.head.outputs(features, mask), -1e9)
