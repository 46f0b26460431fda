"""SPG: gradients are masked softly, by what earlier tasks need."""

from __future__ import annotations

import itertools
import typing

import gin
import numpy as np
import tensorflow as tf

from tfcl.arguments import PositiveFloat, PositiveInt, checked, require
from tfcl.data.scenario import CLASS
from tfcl.methods.base import trainable
from tfcl.methods.shared_backbone import SharedBackboneMethod
from tfcl.methods.spg.importance_pass import ImportancePass
from tfcl.models.variables import statistic
from tfcl.tapes.importance import mean_over_elements
from tfcl.tapes.soft_mask_gradient_tape import SoftMaskGradientTape

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.work import Phases


_BINS = 20


@gin.configurable
class SPG(SharedBackboneMethod):
    """One backbone for all tasks, protected element by element.

    After a task every parameter of the backbone gets an importance in [0, 1]:
    `gamma = max over heads t of |tanh(standardised g_t)|`, where g_t is the
    gradient over the task's training data of its own loss or, for the heads
    of earlier tasks, of the sum of all their logits. While the next task
    trains, the gradient of each parameter is multiplied by 1 - the largest
    importance that it ever had, and that of the head by the mean of these
    factors over all elements. The paper has a head per task. With one head for
    all tasks, an earlier head is the columns of an earlier task's classes, or
    the whole head where all tasks have the same classes.

    Any backbone will do. Batch norm's statistics are shared and not
    protected: prefer backbones without, or with frozen ones.

    Args:
        training: `TaskTraining`, with a head of one layer.
        cross_head: Whether the heads of earlier tasks have a say, or the own
            loss alone (ablation).
        scale_head: Whether the head's gradients are scaled, too.
        importance_dropout: Whether dropout is active when importances are
            computed, as in the published program.
        head_clip: Largest norm of the head's gradients; None for any.
        heads_per_pass: Heads whose gradients one pass over the data
            accumulates, at most. Each takes the memory of the backbone's
            parameters, without those of a dense layer at its end.
        importance_batch_size: Examples per batch of these passes, which
            changes speed and memory only.
        heads: As of `SharedBackboneMethod`.
        **options: Arguments of `TaskTraining`, in place of `training`;
            `hidden_units` is () unless it is given.

    Note:
        The published program divides by zero where all elements of a gradient
        are equal but not 0 or a tensor has a single element, and its weights
        are NaN from then on; here the importance is 0. It runs one pass per
        head, with other draws of dropout for each.

    Reference:
        Konishi, Kurokawa, Ono, Ke, Kim, Liu, "Parameter-Level Soft-Masking
        for Continual Learning", ICML 2023.
    """

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        cross_head: bool = True,
        scale_head: bool = True,
        importance_dropout: bool = True,
        head_clip: PositiveFloat | None = 1e4,
        heads_per_pass: PositiveInt = 10,
        importance_batch_size: PositiveInt = 256,
        heads: str | None = None,
        **options: Any,
    ):
        if training is None:
            options.setdefault("hidden_units", ())
        super().__init__(training, heads, **options)
        require(
            not self.training.hidden_units,
            "TaskTraining.hidden_units",
            "must be () for SPG, whose heads have one layer; put hidden "
            "layers into the backbone",
            self.training.hidden_units,
        )
        self.cross_head = cross_head
        self.scale_head = scale_head
        self.importance_dropout = importance_dropout
        self.head_clip = head_clip
        self.heads_per_pass = heads_per_pass
        self.importance_batch_size = importance_batch_size

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        self._masked = trainable(self._network.backbone_variables)
        require(
            bool(self._masked),
            "TaskTraining.backbone",
            "must have parameters that are trained",
            self._network.backbone.name,
        )
        # 1 - accumulated importance: no operation per step to compute it.
        self.plasticity = [
            statistic(np.ones(owned.variable.shape), "plasticity")
            for owned in self._masked
        ]
        self.head_factor = statistic(1.0, "head_factor")
        self.state = [*self.state, *self.plasticity, self.head_factor]
        self._pass = ImportancePass(
            self._network,
            self._masked,
            heads=min(self.heads_per_pass, spec.num_tasks),
            dropout=self.training.dropout,
            training=self.importance_dropout,
            batch_size=self.importance_batch_size,
        )

    def tape(self, batch: Batch) -> Any:
        head = [o.variable.value for o in self.head_weights]
        shared = [o.variable.value for o in self._masked]
        return SoftMaskGradientTape(
            plasticity=list(zip(shared, self.plasticity)),
            head=head,
            head_factor=self.head_factor,
            head_clip=self.head_clip,
            sum_over_replicas=batch.sum_over_replicas,
        )

    def phases(self, task: Task) -> Phases:
        yield self.training.phase()
        # The own objective first, then those of earlier heads.
        heads = self._earlier_heads(task) if self.cross_head else []
        objectives = [None, *heads]
        for first in range(0, len(objectives), self.heads_per_pass):
            chosen = objectives[first : first + self.heads_per_pass]
            yield self._pass.over(
                task.train,
                [_sum_of_logits(head) for head in chosen if head is not None],
                own=chosen[0] is None,
                weight_batch=task.batch_size or self.spec.batch_size,
                then=self.protect,
            )

    def _earlier_heads(self, task):
        """Kernels `(features, classes)` of the heads of earlier tasks."""
        earlier = task.earlier
        if self.needs_task:
            name = f"{self.head.name}/kernel_0"
            return [self.recall(other.index)[name] for other in earlier]
        kernel = self.head.kernels[0].numpy()
        if self.spec.scenario != CLASS:
            return [kernel] if earlier else []
        counts = range(len(earlier) + 1)
        ends = [self.classes_of(earlier[:count]) for count in counts]
        return [kernel[:, a:b] for a, b in itertools.pairwise(ends)]

    def protect(self, importance: Any) -> None:
        """Takes importances of all masked variables into the maximum."""
        for plasticity, each in zip(self.plasticity, importance):
            plasticity.assign(tf.minimum(plasticity.value, 1.0 - each))
        if self.scale_head:
            self.head_factor.assign(mean_over_elements(self.plasticity))

    def bank_notes(self) -> dict[str, Any]:
        """Blocked share, mean and histogram of the accumulated importance."""
        blocked, mean, histogram = {}, {}, {}
        for owned, plasticity in zip(self._masked, self.plasticity):
            importance = 1.0 - plasticity.numpy()
            blocked[owned.name] = float(np.mean(plasticity.numpy() == 0))
            mean[owned.name] = float(np.mean(importance))
            counts, _ = np.histogram(importance, _BINS, (0.0, 1.0))
            histogram[owned.name] = counts.tolist()
        elements = [p.numpy() for p in self.plasticity]
        total = sum(each.size for each in elements)
        return {
            "head_factor": float(self.head_factor.numpy()),
            "blocked": sum(int((e == 0).sum()) for e in elements) / total,
            "blocked_share": blocked,
            "mean_importance": mean,
            "importance_histogram": histogram,
        }


def _sum_of_logits(kernel):
    """Gradient of the sum of a head's logits at the features."""
    return kernel.sum(axis=1)
