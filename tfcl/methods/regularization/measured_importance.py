"""Weights are held by what a pass over a task's examples says of them."""

from __future__ import annotations

import abc
import typing

from tfcl.arguments import NonNegativeFloat, PositiveInt, checked
from tfcl.methods.base import trainable
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


class MeasuredImportance(SharedBackboneMethod):
    """Training, then one pass that measures what weights are important for.

    The mean over examples of `importance_of` joins the importances of the
    tasks before, and the weights are held where the task has left them.

    Args:
        training: `TaskTraining`.
        strength: lambda, see `springs_share`.
        examples: Training examples of the pass; None takes all.
        decay: Factor of the old importances when a task is added.
        heads: As of `SharedBackboneMethod`.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Attributes:
        springs: `QuadraticPenalty` of the trained weights that tasks share.
    """

    importance_name = "importance"
    """What the pass, its draw and its variables are called by."""

    springs_share = 1.0
    """What of lambda the `QuadraticPenalty` is multiplied by in the loss."""

    @checked
    def __init__(
        self,
        training: TaskTraining | None,
        strength: NonNegativeFloat,
        examples: PositiveInt | None,
        decay: float = 1.0,
        heads: str | None = None,
        **options: Any,
    ):
        super().__init__(training, heads, **options)
        self.strength = strength
        self.examples = examples
        self.decay = decay

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        name = self.importance_name
        self.springs = QuadraticPenalty(trainable(self.shared), name)
        self._sums = self.springs.zeros(f"{name}_sums")
        self.state += [*self.springs.state, *self._sums]

    @property
    def widening(self) -> list[keras.Variable]:
        wide = super().widening
        return [*wide, *self.springs.widening(wide, self._sums)]

    @abc.abstractmethod
    def importance_of(self, batch: Batch) -> list[Tensor]:
        """Traced: what this replica's one example says of each weight."""

    def phases(self, task: Task) -> Phases:
        yield self.training.phase()
        name = self.importance_name
        key = (self.seed, name, task.index)
        yield Accumulate(
            name,
            self.importance_of,
            self._sums,
            data=drawn_examples(task.train, self.examples, *key),
            one_by_one=True,
        )

    def penalty(self) -> Tensor | None:
        held = self.springs_share * self.strength * self.springs()
        return added([super().penalty(), held])

    def end_task(self, task: Task) -> None:
        count = len(task.train)
        examples = min(self.examples or count, count)
        for importance, sums in zip(self.springs.importance, self._sums):
            importance.assign(self.decay * importance + sums / examples)
        self.springs.move_anchor()

    def bank_notes(self) -> dict[str, Any]:
        return {f"mean_{self.importance_name}": self.springs.means()}
