"""MAS: weights are held that the network's answers depend on."""

from __future__ import annotations

import typing

import gin
import tensorflow as tf

from tfcl.arguments import NonNegativeFloat, PositiveInt, checked
from tfcl.methods.base import values_of
from tfcl.methods.regularization.measured_importance import MeasuredImportance

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.methods.base import Batch
    from tfcl.methods.task_training import TaskTraining
    from tfcl.types import Tensor


@gin.configurable
class MAS(MeasuredImportance):
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
        super().__init__(training, strength, examples, heads=heads, **options)

    def importance_of(self, batch: Batch) -> list[Tensor]:
        """|d ||F(x)||^2 / dw| of this replica's one image."""
        with tf.GradientTape() as tape:
            logits = self._network(batch.images)
            used = self.head.columns.value >= 0
            answer = tf.reduce_sum(tf.square(tf.where(used, logits, 0.0)))
        held = values_of(self.springs.weights)
        return [tf.abs(g) for g in tape.gradient(answer, held)]
