"""iCaRL: exemplars that rehearse, distil, and classify by their means."""

from __future__ import annotations

import typing
from typing import Annotated

import gin
import numpy as np
import tensorflow as tf

from tfcl.arguments import PositiveInt, checked, one_of
from tfcl.layers.nearest_mean_head import NearestMeanHead
from tfcl.methods.replay.exemplar_replay import HERDING, ExemplarReplay

if typing.TYPE_CHECKING:
    from typing import Any

    import keras

    from tfcl.data.task import StreamSpec, Task
    from tfcl.layers.task_head import TaskHead
    from tfcl.methods.task_training import TaskTraining
    from tfcl.types import Tensor


MEANS, OUTPUTS = "exemplar_means", "outputs"


@gin.configurable
class ICaRL(ExemplarReplay):
    """Incremental classifier and representation learning.

    New images and exemplars train one sigmoid per class seen; g are the
    outputs, q those of the network from before, for the same image:

        L = - sum over new classes y of d_y log g_y + (1 - d_y) log(1 - g_y)
            - sum over old classes y of q_y log g_y + (1 - q_y) log(1 - g_y),

    d_y = 1 for the image's own class, else 0. An image is answered by the
    class whose mean of exemplars is nearest, in features of length 1; its
    logits are minus the squared distances. Features are what the output
    layer gets.

    Args:
        training: `TaskTraining`.
        capacity: K, exemplars of all classes together.
        answer: "exemplar_means", or "outputs" of the network (hybrid1 of the
            paper).
        selection: "herding" or "random", see `ExemplarReplay`.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Raises:
        ValueError, UserError: As of `ExemplarReplay`.

    Note:
        q is asked of the network from before for every image as it is
        augmented in the step, the paper computes it once per image.
        Validation while a task is trained is by the outputs.

    Reference:
        Rebuffi et al., "iCaRL: Incremental Classifier and Representation
        Learning", CVPR 2017, algorithms 1 to 5.
    """

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        capacity: PositiveInt = 2000,
        answer: Annotated[str, one_of(MEANS, OUTPUTS)] = MEANS,
        selection: str = HERDING,
        **options: Any,
    ):
        super().__init__(training, capacity, selection, **options)
        self.answer = answer

    def make_head(self, spec: StreamSpec) -> TaskHead:
        head = super().make_head(spec)
        if self.answer == OUTPUTS:
            return head
        return NearestMeanHead.from_config(head.get_config())

    @property
    def widening(self) -> list[keras.Variable]:
        means = [self.head.means] if self.answer == MEANS else []
        return [*super().widening, *means]

    def losses(self, labels: Tensor, outputs: Tensor, before: Tensor) -> Tensor:
        old, seen = self.old_and_seen()
        own = tf.one_hot(labels, outputs.shape[-1])
        wanted = tf.where(old, tf.sigmoid(before), own)
        found = tf.nn.sigmoid_cross_entropy_with_logits(wanted, outputs)
        return tf.reduce_sum(tf.where(seen, found, 0.0), axis=-1)

    def exemplar_features(self, images: Tensor) -> Tensor:
        return tf.math.l2_normalize(super().exemplar_features(images), axis=-1)

    def end_task(self, task: Task) -> None:
        super().end_task(task)
        if self.answer == MEANS:
            self._take_means([*task.earlier, task])

    def _take_means(self, tasks):
        means, kept = self.head.means.numpy(), self.exemplars.kept()
        for label, owner in enumerate(self.owners(tasks)):
            rows = np.asarray(kept[label], np.int64)
            mean = self.features_at(tasks[owner].train, rows).mean(axis=0)
            means[:, label] = mean / max(np.linalg.norm(mean), 1e-12)
        self.head.means.assign(means)
