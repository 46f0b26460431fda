"""Accuracies: of the running task, and of every task learned so far."""

from __future__ import annotations

import hashlib
import math
import typing
from typing import Annotated

import gin
import numpy as np
from absl import logging

from tfcl.arguments import PositiveInt, checked, one_of
from tfcl.data.absent import is_lost
from tfcl.engine.measurement import Evaluation

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tfcl.data.split import Split
    from tfcl.data.task import Task, TaskStream
    from tfcl.engine.measurement import Given, Measurement
    from tfcl.engine.storage.bank import Bank
    from tfcl.engine.storage.visit_record import VisitRecord
    from tfcl.methods.base import Batch, Method
    from tfcl.types import Tensor


AUTO, ALWAYS, NEVER = _WHEN = ("auto", "always", "never")

_UNKNOWN = Evaluation(math.nan, math.nan, math.nan)


@gin.configurable
class EvaluationPolicy:
    """How accuracies are measured.

    Args:
        batch_size: Examples per evaluation step; changes speed, and the last
            digits of losses.
        record_peak: Also measure the test accuracy of the running task
            whenever the validation accuracy of its phase is strictly better
            than before (the "peak" of the LASEM protocol). It steers nothing.
        task_agnostic: Whether accuracies with and without the task are
            measured side by side at the end of the stream
            (`tfcl.engine.task_agnostic`), "always", "never", or "auto": not if
            more than 20 heads would be asked, each had to decode all test
            images anew, or that were more images than the run has trained on.
    """

    @checked
    def __init__(
        self,
        batch_size: PositiveInt = 250,
        record_peak: bool = True,
        task_agnostic: Annotated[str, one_of(*_WHEN)] = AUTO,
    ):
        self.batch_size = batch_size
        self.record_peak = record_peak
        self.task_agnostic = task_agnostic


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
        # Likewise by visit, of test splits that an earlier process measured.
        self._noted: dict[int, tuple[str | None, Evaluation]] = {}

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
        if is_lost(getattr(task, split_name)):
            return self._as_noted(task, visit, digest)
        if key not in self._known or self._known[key][0] != digest:
            split = getattr(task, split_name)
            found = self._measure(split, self.policy.batch_size)
            self._known[key] = (digest, found)
        return self._known[key][1]

    def remember(self, records: Sequence[VisitRecord]) -> None:
        """Takes over what was measured last, for tasks whose images are gone.

        Args:
            records: Of the visits that have been made.
        """
        if not records:
            return
        last = records[-1]
        newest = {record.index: record.visit for record in records}
        nothing = [None] * len(last.row)
        for index, accuracy, loss, top5, digest in zip(
            sorted(newest),
            last.row,
            last.losses or nothing,
            last.top5 or nothing,
            last.read_digests or nothing,
        ):
            self._noted[newest[index]] = (
                digest,
                Evaluation(
                    loss=_number(loss),
                    accuracy=_number(accuracy),
                    batch_losses=math.nan,
                    top5_accuracy=top5,
                ),
            )

    def activated(self, task: Task, visit: int) -> str:
        """Makes a finished task active, as the bank has it after a visit.

        Returns:
            A digest of the shared variables that its logits depend on: while
            it is the same, so are all measurements.
        """
        entry = self.bank.load(visit, task.name)
        self.method.activate(entry.values, task.index)
        return self._digest()

    def measured_with(self, task: Task, visit: int) -> str | None:
        """Digest of what a finished task's test accuracy was measured with.

        None of a task that could not be measured.

        Args:
            task, visit: As of `banked`, which has measured it.
        """
        if is_lost(task.test):
            return self._noted[visit][0]
        return self._known[visit, "test"][0]

    def _as_noted(self, task, visit, digest):
        """What is known of a task whose test images nobody has."""
        measured_with, evaluation = self._noted.get(visit, (None, _UNKNOWN))
        if measured_with == digest:
            return evaluation
        if measured_with is not None or visit not in self._noted:
            logging.warning(
                "Task '%s' answers otherwise than when it was measured last, "
                "and its test images are not here: its accuracy is not known.",
                task.name,
            )
        self._noted[visit] = None, _UNKNOWN
        return _UNKNOWN

    def answers(
        self,
        task: Task,
        split: Split | None = None,
        columns: Sequence[int] | None = None,
    ) -> Given:
        """What a task that is active answers.

        Args:
            task: `Task`.
            split: To which examples. Defaults to its test examples.
            columns: Of the logits, to choose from. Defaults to all classes of
                the task.
        """
        if columns is None:
            columns = range(task.num_classes)
        size = self.policy.batch_size
        return self._answer(split or task.test, size, columns)

    def row(self, stream: TaskStream, visit: int) -> list[float]:
        """Test accuracies of all tasks seen when a visit has ended.

        NaN where they are not known.
        """
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


def _number(value):
    return math.nan if value is None else value
