"""MAS: weights are held that the network's answers depend on."""

from __future__ import annotations

import typing

import gin
import tensorflow as tf

from tfcl.arguments import NonNegativeFloat, PositiveInt, checked
from tfcl.methods.base import trainable, values_of
from tfcl.methods.network_method import added
from tfcl.methods.regularization.drawn_examples import drawn_examples
from tfcl.methods.regularization.quadratic_penalty import QuadraticPenalty
from tfcl.methods.shared_backbone import SharedBackboneMethod
from tfcl.methods.work import Accumulate

if typing.TYPE_CHECKING:
    from typing import Any

    import keras

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.work import Phases
    from tfcl.types import Tensor


@gin.configurable
class MAS(SharedBackboneMethod):
    """Memory-aware synapses.

    A weight is important if the network's answer would change with it,
    whether the answer is right or not: no label is asked for.

        Omega_k += mean over images x of |d ||F(x)||^2 / d w_k|,
        L = L_new + lambda sum_k Omega_k (w_k - w*_k)^2,

    where F(x) are the logits of the task's classes, w* the weights after the
    last task, and the mean goes over training images when a task ends.
    Weights are those that tasks share.

    Args:
        training: `TaskTraining`.
        strength: lambda.
        examples: Training images, taken one by one, that estimate Omega;
            None takes all.
        heads: As of `SharedBackboneMethod`.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Reference:
        Aljundi, Babiloni, Elhoseiny, Rohrbach, Tuytelaars, "Memory aware
        synapses: learning what (not) to forget", ECCV 2018, eq. 2 to 4 (the
        global form, by the squared norm).
    """

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        strength: NonNegativeFloat = 1.0,
        examples: PositiveInt | None = None,
        heads: str | None = None,
        **options: Any,
    ):
        super().__init__(training, heads, **options)
        self.strength = strength
        self.examples = examples

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        self.springs = QuadraticPenalty(trainable(self.shared))
        self._sums = self.springs.zeros("sensitivity_sums")
        self.state += [*self.springs.state, *self._sums]

    @property
    def widening(self) -> list[keras.Variable]:
        wide = super().widening
        return [*wide, *self.springs.widening(wide, self._sums)]

    def phases(self, task: Task) -> Phases:
        yield self.training.phase()
        yield Accumulate(
            "importance",
            self.sensitivity,
            self._sums,
            data=drawn_examples(
                task.train,
                self.examples,
                *(self.seed, "importance", task.index),
            ),
            one_by_one=True,
        )

    def sensitivity(self, batch: Batch) -> Any:
        """|d ||F(x)||^2 / dw| of this replica's one image."""
        with tf.GradientTape() as tape:
            logits = self._network(batch.images)
            used = self.head.columns.value >= 0
            answer = tf.reduce_sum(tf.square(tf.where(used, logits, 0.0)))
        held = values_of(self.springs.weights)
        return [tf.abs(g) for g in tape.gradient(answer, held)]

    def penalty(self) -> Tensor | None:
        return added([super().penalty(), self.strength * self.springs()])

    def end_task(self, task: Task) -> None:
        count = len(task.train)
        examples = min(self.examples or count, count)
        for importance, sums in zip(self.springs.importance, self._sums):
            importance.assign_add(sums.value / examples)
        self.springs.move_anchor()

    def bank_notes(self) -> dict[str, Any]:
        return {"mean_importance": self.springs.means()}
