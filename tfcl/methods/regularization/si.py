"""SI: every weight keeps account of what it did for the loss."""

from __future__ import annotations

import typing

import gin
import tensorflow as tf

from tfcl.arguments import NonNegativeFloat, PositiveFloat, checked
from tfcl.methods.base import Update, mean_accuracy, trainable, values_of
from tfcl.methods.network_method import added
from tfcl.methods.regularization.quadratic_penalty import QuadraticPenalty
from tfcl.methods.shared_backbone import SharedBackboneMethod

if typing.TYPE_CHECKING:
    from typing import Any

    import keras

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch
    from tfcl.methods.task_training import TaskTraining
    from tfcl.types import Tensor, Values


@gin.configurable
class SI(SharedBackboneMethod):
    """Synaptic intelligence.

    While a task is learned, each weight adds up what its steps took off the
    loss L of that task; when it ends, that becomes importance:

        omega_k = - sum over steps of dL/dw_k * (change of w_k),
        Omega_k += max(omega_k, 0) / (Delta_k^2 + xi),
        L~ = L + c sum_k Omega_k (w_k - w*_k)^2,

    where Delta_k is how far the task has moved w_k, and w* the weights before
    it. Weights are those that tasks share. The change is that of the optimizer,
    whichever it is, and the gradient that of L alone, without the penalty.

    Args:
        training: `TaskTraining`.
        strength: c.
        damping: xi, above 0: the squared move below which a weight's
            importance is bounded.
        heads: As of `SharedBackboneMethod`.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Note:
        omega counts every step, those after the best epoch too, if
        `TaskTraining.restore_best` takes its weights.

    Reference:
        Zenke, Poole, Ganguli, "Continual learning through synaptic
        intelligence", ICML 2017, eq. 3 to 5. A weight whose steps have raised
        the loss has omega below 0, of which no spring can be made: it counts
        as 0.
    """

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        strength: NonNegativeFloat = 1.0,
        damping: PositiveFloat = 1e-3,
        heads: str | None = None,
        **options: Any,
    ):
        super().__init__(training, heads, **options)
        self.strength = strength
        self.damping = damping

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        self.springs = QuadraticPenalty(trainable(self.shared))
        self.path_integral = self.springs.zeros("path_integral")
        self.state += [*self.springs.state, *self.path_integral]

    @property
    def task_state(self) -> list[keras.Variable]:
        return self.path_integral

    @property
    def widening(self) -> list[keras.Variable]:
        wide = super().widening
        return [*wide, *self.springs.widening(wide)]

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        self._depart()

    def resume_task(self, task: Task, values: Values) -> None:
        super().resume_task(task, values)
        self._depart()

    def _depart(self):
        """The path of a task begins where the last one has ended."""
        self.springs.move_anchor()
        for integral in self.path_integral:
            integral.assign(tf.zeros_like(integral))

    def train_step(self, batch: Batch) -> Update:
        variables = values_of(self._trained)
        held = values_of(self.springs.weights)
        with tf.GradientTape(persistent=True) as tape:
            loss, logits = self.loss_of(batch)
            penalty = self.penalty() / batch.replicas
        own, holding = (_gradients(tape, t, variables) for t in (loss, penalty))
        before = [tf.identity(value) for value in held]

        def integrate():
            # The weights that are held come first of those that are trained.
            slopes = batch.sum_over_replicas(own[: len(held)])
            for integral, slope, old, new in zip(
                self.path_integral, slopes, before, held
            ):
                integral.assign_sub(slope * (new - old))

        return Update(
            loss=loss + penalty,
            metrics={"accuracy": mean_accuracy(batch, logits)},
            gradients=[
                ("main", [a + b for a, b in zip(own, holding)], variables)
            ],
            after_apply=integrate,
        )

    def penalty(self) -> Tensor:
        return added([super().penalty(), self.strength * self.springs()])

    def end_task(self, task: Task) -> None:
        for importance, integral, owned, anchor in zip(
            self.springs.importance,
            self.path_integral,
            self.springs.weights,
            self.springs.anchor,
        ):
            moved = tf.square(owned.variable - anchor)
            importance.assign_add(
                tf.nn.relu(integral.value) / (moved + self.damping)
            )

    def bank_notes(self) -> dict[str, Any]:
        return {"mean_importance": self.springs.means()}


def _gradients(tape, target, variables):
    found = tape.gradient(
        target,
        variables,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    # Those of embeddings come as rows.
    return [tf.convert_to_tensor(gradient) for gradient in found]
