"""Epochs of training, with validation in between."""

import dataclasses
import math

import numpy as np

from tfcl.data.task import Task
from tfcl.engine.evaluator import Evaluator
from tfcl.engine.observer import Observer
from tfcl.engine.storage.position import Peak
from tfcl.engine.storage.saver import Saver
from tfcl.engine.training.stretches import Stretches
from tfcl.methods.base import Method
from tfcl.methods.work import Phase
from tfcl.models.variables import restore, stored
from tfcl.types import Values


class Fitting:
    """Performs a `Phase`.

    Args:
        method: `Method`, whose diagnostics and best weights are kept.
        stretches: `Stretches`, which train.
        evaluator: `Evaluator`, which validates.
        saver: `Saver`.
        observer: `Observer`, which is told of every epoch.
    """

    def __init__(
        self,
        method: Method,
        stretches: Stretches,
        evaluator: Evaluator,
        saver: Saver,
        observer: Observer,
    ):
        self._method = method
        self._stretches = stretches
        self._evaluator = evaluator
        self._saver = saver
        self._journal = saver.journal
        self._observer = observer
        self._best_values: Values | None = None

    def perform(self, task: Task, phase: Phase) -> dict:
        """Trains until the phase ends; returns its result."""
        journal, position = self._journal, self._journal.task_position
        best = position.phase_position.best
        self._best_values = self._saver.best_values(best)
        if phase.restores_nonfinite and best is None:
            self._keep_as_best(epoch=0, accuracy=None, value=None)
        while True:
            clock = self._stretches.clock(task, phase)
            if clock.epoch >= phase.epochs:
                break
            if phase.stop is not None and phase.stop(clock):
                break
            self._stretches.set_rates(phase, clock)
            broken, stop = self._stretches.epoch(task, phase)
            self._end_epoch(task, phase, broken)
            journal.run_epoch += 1
            position.epochs += 1
            if stop:
                self._saver.save_and_stop()
            self._saver.save_if_due()
        return self._result(phase)

    # The end of an epoch

    def _end_epoch(self, task, phase, broken):
        place = self._journal.task_position.phase_position
        # Skipped steps are in no sum.
        steps = max(place.step - place.skipped, 1)
        record = {
            f"train/{name}": (np.asarray(value) / steps).tolist()
            for name, value in place.sums.items()
        }
        epoch = place.epoch + 1
        if broken:
            self._note_broken(phase, record)
        elif self._is_validated(task, phase, record, epoch):
            self._validate_epoch(task, phase, record, epoch)
        self._restore_after_nan(phase, record)
        for name, (value, _) in self._method.diagnostics().items():
            record[name] = np.asarray(value).tolist()
        place.history.append(record)
        place.epoch, place.step, place.sums, place.skipped = epoch, 0, {}, 0
        rates = {
            name: float(self._method.optimizers[name].learning_rate.numpy())
            for name in phase.rates
        }
        self._observer.end_epoch(task, phase, self._journal, record, rates)

    def _note_broken(self, phase, record):
        """Records a bad epoch.

        The weights before the bad step are finite, but those that it would
        have made are not, and neither is their validation.
        """
        names = ["train/loss", "validation/loss", "validation/accuracy"]
        if phase.validation_batch_size:
            names.append("validation/batch_losses")
        record.update(dict.fromkeys(names, math.nan))

    def _is_validated(self, task, phase, record, epoch):
        if epoch == phase.epochs or self._will_stop(task, phase, record):
            return True
        every = phase.validate_every
        return bool(every) and epoch % every == 0

    def _will_stop(self, task, phase, record):
        """Whether the rule ends the phase unless a validation saves it."""
        if phase.stop is None:
            return False
        clock = self._stretches.clock(task, phase)
        history = (*clock.history, record)
        return phase.stop(
            dataclasses.replace(
                clock,
                epoch=clock.epoch + 1,
                run_epoch=clock.run_epoch + 1,
                history=history,
            )
        )

    def _validate_epoch(self, task, phase, record, epoch):
        """Adds the validation to the record; keeps what is best by it."""
        size = phase.validation_batch_size
        found = self._evaluator.running(
            phase.validation or task.validation, size, phase.validation_logits
        )
        record["validation/loss"] = found.loss
        record["validation/accuracy"] = found.accuracy
        if size:
            record["validation/batch_losses"] = found.batch_losses
        self._note_peak(task, epoch, found.accuracy)
        best = self._journal.task_position.phase_position.best
        before = None if best is None else best.value
        wanted = phase.restore_best and epoch > phase.best_after
        if wanted and phase.improves(record[phase.best_by], before):
            self._keep_as_best(epoch, found.accuracy, record[phase.best_by])

    def _note_peak(self, task, epoch, accuracy):
        """The test accuracy at the best validation accuracy so far."""
        position = self._journal.task_position
        peak = position.peak
        better = peak is None or accuracy > peak.validation_accuracy
        if self._evaluator.policy.record_peak and better:
            test = self._evaluator.running(task.test)
            position.peak = Peak(epoch, accuracy, test.accuracy)

    # The best epoch

    def _keep_as_best(self, epoch, accuracy, value):
        self._best_values = stored(self._method.shared + self._method.slot)
        place = self._journal.task_position.phase_position
        place.best = self._saver.save_best(
            self._best_values, epoch, accuracy, value
        )

    def _restore_best(self):
        restore(self._method.shared + self._method.slot, self._best_values)

    def _restore_after_nan(self, phase, record):
        """Goes back to the best weights if the epoch was not finite."""
        losses = [record["train/loss"], record.get("validation/loss", 0.0)]
        if phase.restores_nonfinite and not np.isfinite(losses).all():
            self._restore_best()

    def _result(self, phase):
        place = self._journal.task_position.phase_position
        result = {"epochs": place.epoch}
        if place.history:
            result.update(
                {k: v for k, v in place.history[-1].items() if _scalar(v)}
            )
        if phase.restore_best and self._best_values is not None:
            self._restore_best()
            best = result["best_epoch"] = place.best.epoch
            # Of the weights that stay; those of epoch 0 were not validated.
            known = place.history[best - 1] if best else {}
            for name in result:
                if name.startswith("validation/"):
                    result[name] = known.get(name, math.nan)
        self._best_values = None
        if phase.facts is not None:
            result.update(phase.facts())
        return result


def _scalar(value):
    return isinstance(value, (int, float))
