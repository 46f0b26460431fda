"""LwF: what old heads answer to new images is kept while a task is learned."""

from __future__ import annotations

import dataclasses
import itertools
import typing
from typing import Annotated

import gin
import numpy as np
import tensorflow as tf

from tfcl.arguments import NonNegativeFloat, NonNegativeInt, above, checked
from tfcl.methods.former_network import FormerNetwork, distillation
from tfcl.methods.shared_output import SharedOutputMethod
from tfcl.models.variables import statistic

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import keras

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch, Update
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.work import Phases
    from tfcl.types import Tensor, Values


@gin.configurable
class LwF(SharedOutputMethod):
    """Learning without Forgetting.

    One network, whose output layer has columns for every task (or, with one
    head, for all classes). While a task is learned, a frozen copy of the
    network as it was before tells what the old columns answered to the new
    images, and the loss keeps them at it:

        L = L_new(y_n, y^_n) + lambda_o sum_old L_old(y_o, y^_o),
        L_old = -sum_i y'_i log y^'_i,  y' = softmax(logits / T).

    With one head, all old columns are one softmax, one term of the sum (van de
    Ven et al. 2022). No old image is needed. Old answers do change: the less,
    the more the images of the tasks have in common.

    Args:
        training: `TaskTraining`. Its epochs train all weights (theta_s,
            theta_o, theta_n).
        strength: lambda_o; 0 is fine-tuning with a head per task.
        temperature: T, above 0.
        warm_up_epochs: Epochs before, in which the output layer alone is
            trained, on the new task. The paper does it until convergence.
        heads: As of `SharedBackboneMethod`.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Reference:
        Li and Hoiem, "Learning without Forgetting", ECCV 2016, eq. 1 to 3 and
        figure 3; T = 2 and lambda_o = 1 are theirs.
    """

    decays_weights = True

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        strength: NonNegativeFloat = 1.0,
        temperature: Annotated[float, above(0)] = 2.0,
        warm_up_epochs: NonNegativeInt = 0,
        heads: str | None = None,
        **options: Any,
    ):
        super().__init__(training, heads, **options)
        self.strength = strength
        self.temperature = temperature
        self.warm_up_epochs = warm_up_epochs

    # Set-up

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        ends = np.cumsum([0, *spec.class_counts]).tolist()
        self._columns = [range(*pair) for pair in itertools.pairwise(ends)]
        # Which tasks, or which columns of the one head, have answers to keep.
        places = spec.num_tasks if self.needs_task else self.head.num_outputs
        self._old = statistic(np.zeros(places), "old")
        self._before = FormerNetwork(
            self.training.network(
                self.make_backbone(spec), self.make_head(spec)
            )
        )
        self.state += self.task_state

    @property
    def task_state(self) -> list[keras.Variable]:
        return [self._old, *self._before.variables]

    # One task after another

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        self._remember(task)

    def resume_task(self, task: Task, values: Values) -> None:
        super().resume_task(task, values)
        self._remember(task)

    def _remember(self, task):
        self._before.remember(self._network)
        places = np.arange(self._old.shape[0])
        if self.needs_task:
            earlier = [other.index for other in task.earlier]
            self._old.assign(np.isin(places, earlier))
        else:
            self._old.assign(places < self.classes_of(task.earlier))

    def phases(self, task: Task) -> Phases:
        phase = self.training.phase()
        if self.warm_up_epochs:
            yield dataclasses.replace(
                phase,
                name="warm_up",
                epochs=self.warm_up_epochs,
                steps=(self.warm_up_step,),
            )
        yield phase

    def warm_up_step(self, batch: Batch) -> Update:
        """A step of the output layer alone."""
        last = (id(self.head.kernels[-1]), id(self.head.biases[-1]))
        owned = [v for v in self._trained if id(v.variable) in last]
        return self.step_of(owned, batch)

    def loss_of(
        self,
        batch: Batch,
        training: bool = True,
        features: Callable[..., Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        images, hidden, mask = self.forward(batch, training, features)
        outputs = self.head.outputs(hidden, mask)
        logits = self.head.chosen(outputs)
        loss = self.training.loss(
            batch, logits, self.head, hidden, self.optimizers
        )
        before = self._before.outputs(images)
        kept = tf.reduce_sum(self._kept(before, outputs))
        count = tf.cast(batch.size, tf.float32)
        return loss + self.strength * kept / count, logits

    def _kept(self, before, outputs):
        """sum_old L_old of each image, `(b,)`."""
        if not self.needs_task:
            old = self._old > 0.0
            pair = (tf.where(old, each, -1e9) for each in (before, outputs))
            any_old = tf.reduce_max(self._old.value)
            return any_old * distillation(*pair, self.temperature)
        return sum(
            self._old[index]
            * distillation(
                before[:, columns.start : columns.stop],
                outputs[:, columns.start : columns.stop],
                self.temperature,
            )
            for index, columns in enumerate(self._columns)
        )
