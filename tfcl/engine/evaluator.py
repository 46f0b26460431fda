"""Accuracies: of the running task, and of every task learned so far."""

from __future__ import annotations

import hashlib
import typing

import gin
import numpy as np

from tfcl.arguments import PositiveInt, checked

if typing.TYPE_CHECKING:
    from collections.abc import Callable

    from tfcl.data.split import Split
    from tfcl.data.task import Task, TaskStream
    from tfcl.engine.measurement import Evaluation, Given, Measurement
    from tfcl.engine.storage.bank import Bank
    from tfcl.methods.base import Batch, Method
    from tfcl.types import Tensor


@gin.configurable
class EvaluationPolicy:
    """How accuracies are measured.

    Args:
        batch_size: Examples per evaluation step; changes speed, and the last
            digits of losses.
        record_peak: Also measure the test accuracy of the running task
            whenever the validation accuracy of its phase is strictly better
            than before (the "peak" of the LASEM protocol). It steers nothing.
    """

    @checked
    def __init__(self, batch_size: PositiveInt = 250, record_peak: bool = True):
        self.batch_size = batch_size
        self.record_peak = record_peak


class Evaluator:
    """Measures tasks with the one traced evaluation function.

    Args:
        method: `Method`.
        measurement: `Measurement`.
        bank: `Bank`.
        policy: `EvaluationPolicy`.
    """

    def __init__(
        self,
        method: Method,
        measurement: Measurement,
        bank: Bank,
        policy: EvaluationPolicy,
    ):
        self.method = method
        self._measure = measurement.evaluate
        self._answer = measurement.answers
        self.bank = bank
        self.policy = policy
        # By visit and split: what was measured, and of which variables.
        self._known: dict[tuple[int, str], tuple[str, Evaluation]] = {}

    def running(
        self,
        split: Split,
        batch_size: int | None = None,
        logits: Callable[[Batch], Tensor] | None = None,
    ) -> Evaluation:
        """The `Evaluation` of the task in training.

        Args:
            split: `Split`.
            batch_size: Examples per batch; only `batch_losses` depends on it.
                Defaults to the policy's.
            logits: See `Phase.validation_logits`.
        """
        self.method.begin_evaluation()
        size = batch_size or self.policy.batch_size
        return self._measure(split, size, logits)

    def banked(
        self, task: Task, visit: int, split_name: str = "test"
    ) -> Evaluation:
        """`Evaluation` of a finished task, from the bank entry of a visit.

        A task whose bank entry and shared variables are as they were at the
        last call is not evaluated again.
        """
        digest = self.activated(task, visit)
        key = (visit, split_name)
        if key not in self._known or self._known[key][0] != digest:
            split = getattr(task, split_name)
            found = self._measure(split, self.policy.batch_size)
            self._known[key] = (digest, found)
        return self._known[key][1]

    def activated(self, task: Task, visit: int) -> str:
        """Makes a finished task active, as the bank has it after a visit.

        Returns:
            A digest of the shared variables that its logits depend on: while
            it is the same, so are all measurements.
        """
        entry = self.bank.load(visit, task.name)
        self.method.activate(entry.values, task.index)
        return self._digest()

    def answers(self, task: Task) -> Given:
        """What a task that is active answers to its test examples."""
        size, classes = self.policy.batch_size, task.num_classes
        return self._answer(task.test, size, classes)

    def row(self, stream: TaskStream, visit: int) -> list[float]:
        """Test accuracies of all tasks seen when a visit has ended."""
        found = self.evaluations(stream, visit)
        return [each.accuracy for each in found.values()]

    def evaluations(
        self, stream: TaskStream, visit: int
    ) -> dict[int, Evaluation]:
        """Of all tasks seen when a visit has ended, on their test splits.

        Returns:
            `{task index: Evaluation}`, in the order of the indices.
        """
        return {
            task.index: self.banked(task, newest)
            for task, newest in stream.learned_versions(visit)
        }

    def _digest(self):
        sha = hashlib.sha256()
        for owned in self.method.read_variables():
            value = owned.variable.numpy()
            sha.update(owned.name.encode())
            sha.update(np.ascontiguousarray(value))
        return sha.hexdigest()
