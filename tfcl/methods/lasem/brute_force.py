"""Brute-force search: a whole training for every transfer configuration."""

from __future__ import annotations

import dataclasses
import math
import typing

import gin
import numpy as np

from tfcl.arguments import checked
from tfcl.errors import RunError
from tfcl.methods.lasem.searching_method import SearchingMethod
from tfcl.models.surgery.prefix_tree import configuration_name, configurations
from tfcl.models.variables import statistic

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import keras

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.lasem.transfers import Transfer
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.work import Phases


@gin.configurable
class BruteForce(SearchingMethod):
    """Trains every task once per configuration and keeps the best.

    The first task shares nothing and is not searched. Every later task is
    trained 2^L times from the same start (shared weights from before the task,
    the same draw of its own weights, new optimizers); the configuration of
    the best validation accuracy wins, the first one on ties. What it learned
    is kept and not trained again. The accuracy is that of the last epoch, or
    of the best one with `TaskTraining.restore_best`; a candidate without one
    (NaN: no epoch of it could be validated) never wins.

    The schedule of the learning rate counts epochs as if every task had been
    trained once.

    Args:
        training: `TaskTraining`.
        transfer: Mechanism of the shared layers, of
            `tfcl.methods.lasem.transfers`; None takes `HardTransfer`.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Note:
        In the published program the first task's own kernels become the
        shared ones of the layers that the second task shares, and the first
        task drifts with them. Here they are only where the shared kernels
        start from (with `HardTransfer`; other mechanisms have no kernel to
        take over): the bank never changes what a task has learned.

    Reference:
        Lee, Behpour, Eaton, ICML 2021, exhaustive search as a reference.
    """

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        transfer: Transfer | None = None,
        **options: Any,
    ):
        super().__init__(training, transfer, **options)
        self._kept: list[keras.Variable] = []
        self._accuracies: dict[str, float] = {}

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        self.configurations = configurations(len(self.layers))
        self._kept = [
            statistic(v.numpy(), "kept", v.dtype) for v in self._learned
        ]
        self.state += self._kept

    @property
    def task_state(self) -> list[keras.Variable]:
        return self._kept

    @property
    def _learned(self):
        """The variables that a training changes."""
        return [owned.variable for owned in self.shared + self.slot]

    def search(self, task: Task) -> Phases:
        if task.index == 0:
            self.choice.select([False] * len(self.layers))
            yield self._phase(task, "train")
            return
        for sharing in self.configurations:
            self._start(task, sharing)
            name = configuration_name(sharing)
            result = yield self._phase(task, f"share_{name}")
            # By results alone: after a resume the variables of finished
            # phases are no longer there.
            accuracy = result["validation/accuracy"]
            if accuracy > self._best_accuracy(-1.0):
                _assign(self._kept, self._learned)
            self._accuracies[name] = accuracy
        if self._best_accuracy(None) is None:
            raise RunError(
                f"No configuration of task '{task.name}' could be validated, "
                "so none can be chosen. Lower the learning rate, or look for "
                "what is not finite in the data."
            )
        _assign(self._learned, self._kept)

    def _best_accuracy(self, default):
        """Of the candidates that have one so far."""
        known = [a for a in self._accuracies.values() if not math.isnan(a)]
        return max(known, default=default)

    def phases(self, task: Task) -> Phases:
        self._accuracies = {}
        yield from super().phases(task)

    def _start(self, task, sharing):
        """Makes everything as it was when the task began."""
        self.begin_slot(task)
        self.choice.restore()
        self.choice.select(sharing)

    def _phase(self, task, name):
        phase = self.training.phase(name)
        earlier = self.training.epochs * task.index
        phase.rates = {
            optimizer: _OnceATask(schedule, earlier)
            for optimizer, schedule in phase.rates.items()
        }
        return phase

    # The choice

    @property
    def best(self) -> Sequence[bool]:
        # The candidate in training; after the last one, the kept one.
        return self.choice.sharing

    def end_task(self, task: Task) -> None:
        if self.seen_again:
            super().end_task(task)
            return
        if task.index == 1:
            # The first task's kernels were a start for this task only.
            self.choice.defined.assign(np.zeros(len(self.layers)))
        super().end_task(task)
        if task.index == 0:
            self._share_own_kernels()

    def _share_own_kernels(self):
        """Makes the task's own kernels the start of the shared ones."""
        taken = [hasattr(la.generator, "adopt") for la in self.layers]
        for layer, takes in zip(self.layers, taken):
            if takes:
                layer.generator.adopt([v.numpy() for v in layer.own_variables])
        self.choice.defined.assign(np.asarray(taken, np.float32))

    def bank_notes(self) -> dict[str, Any]:
        notes = super().bank_notes()
        if self._accuracies:
            # The last candidate's weights are not those that were kept.
            notes["validation_accuracy"] = self._best_accuracy(None)
        shown = {
            name: None if math.isnan(accuracy) else accuracy
            for name, accuracy in self._accuracies.items()
        }
        return {**notes, "validation_accuracies": shown}


@dataclasses.dataclass(frozen=True)
class _OnceATask:
    """A schedule whose run epochs leave the losing candidates out."""

    schedule: object
    earlier: int

    def __call__(self, clock):
        run_epoch = self.earlier + clock.epoch
        return self.schedule(dataclasses.replace(clock, run_epoch=run_epoch))


def _assign(targets, sources):
    for target, source in zip(targets, sources):
        target.assign(source)
