"""Performs the phases that a method yields."""

import dataclasses
import math
import time

import numpy as np
import tensorflow as tf
from absl import logging

from tfcl import randomness
from tfcl.engine.orders import epoch_order
from tfcl.errors import Interrupted, RunError
from tfcl.methods.base import steps_per_epoch
from tfcl.models.variables import restore, stored
from tfcl.optimizers.schedules import Clock

_STOPPED = (
    "Stopped on request; the state is saved. Start the same command again to "
    "go on."
)


class Trainer:
    """Runs epochs, validates, notes history, saves, stops when asked.

    Args:
        run: The `Experiment`, of which it uses journal, method, runner,
            evaluator, policies and observer.
    """

    def __init__(self, run):
        self.run = run
        self._best_values = None
        self._counted_until = None

    def perform(self, task, phase):
        """Carries out a phase and sets its `result`."""
        self._counted_until = time.monotonic()
        self.run.observer.begin_phase(task, phase, self.run.journal)
        try:
            getattr(self, phase.action)(task, phase)
        finally:
            self.note_seconds()
            self._counted_until = None

    def note_seconds(self):
        """Adds the time since the last call to the journal."""
        if self._counted_until is None:
            return
        now = time.monotonic()
        journal = self.run.journal
        journal.seconds += now - self._counted_until
        journal.position["seconds"] += now - self._counted_until
        self._counted_until = now

    # Training by epochs

    def fit(self, task, phase):
        """`Phase`: epochs of training with validation in between."""
        journal, place = self.run.journal, self.run.journal.position
        self._best_values = self.run.best_values(place["best"])
        if phase.restores_nonfinite and place["best"] is None:
            self._keep_as_best(epoch=0, accuracy=None, value=None)
        while True:
            clock = self._clock(task, phase)
            if clock.epoch >= phase.epochs:
                break
            if phase.stop is not None and phase.stop(clock):
                break
            self._set_rates(phase.rates, clock)
            broken, stop = self._epoch(task, phase)
            self._end_epoch(task, phase, broken)
            journal.run_epoch += 1
            place["epochs"] += 1
            if stop:
                self._stop()
            self.run.save_if_due()
        self._finish_fit(phase)

    def _clock(self, task, phase):
        place = self.run.journal.position
        return Clock(
            epoch=place["epoch"],
            run_epoch=self.run.journal.run_epoch,
            epochs=getattr(phase, "epochs", 1),
            history=tuple(place["history"]),
            task=task.name,
            tasks=self.run.spec.task_names,
        )

    def _set_rates(self, rates, clock):
        for name, schedule in rates.items():
            optimizer = self.run.method.optimizers[name]
            optimizer.learning_rate.assign(schedule(clock))

    def _epoch(self, task, phase):
        place = self.run.journal.position
        split = phase.data or task.train
        size = self._batch_size(task, phase)
        key = (task.index, len(place["results"]), place["epoch"])
        order = epoch_order(
            len(split),
            phase.shuffle,
            randomness.generator(self.run.seed, "order", *key),
        )
        steps = steps_per_epoch(len(split), size, phase.drop_remainder)
        seed = randomness.stateless_seed(self.run.seed, "steps", *key)
        return self._stretch(task, phase, split, order, steps, size, seed)

    def _batch_size(self, task, phase):
        return phase.batch_size or task.batch_size or self.run.spec.batch_size

    def _stretch(self, task, phase, split, order, last, size, seed):
        """Runs up to step `last` of the epoch in calls of bounded length.

        Returns:
            `(broken, stop)`: whether a step that is not finite has ended the
            epoch early, and if so, whether the run shall stop when the epoch
            is noted: a saved place inside it would not know that it is over.
        """
        run, place = self.run, self.run.journal.position
        while place["step"] < last:
            first = place["step"]
            until = min(first + run.policy.steps_per_call, last)
            sums, done, bad, skipped, stop = self._train(
                phase, split, order, first, until, size, seed
            )
            restores = phase.restores_nonfinite
            broken = bad >= 0 and (restores or run.on_nonfinite == "stop")
            if broken and not restores:
                raise self._not_finite(task, phase, bad)
            for name, value in sums.items():
                # float64 sums of float32 calls; lists, so that JSON can
                # hold them between two calls.
                before = np.asarray(place["sums"].get(name, 0.0))
                place["sums"][name] = (before + value.astype(float)).tolist()
            place["step"] = done
            place["steps"] += done - first
            run.journal.global_step += done - first
            run.journal.skipped_steps += skipped
            place["skipped"] = place.get("skipped", 0) + skipped
            if skipped:
                logging.warning(
                    "%d steps of epoch %d were not finite and skipped.",
                    skipped,
                    place["epoch"],
                )
            if broken:
                logging.warning(
                    "Step %d of epoch %d is not finite: the best weights "
                    "return.",
                    bad,
                    place["epoch"],
                )
                return True, stop
            if stop:
                self._stop()
            if place["step"] < last:
                run.save_if_due()
        return False, False

    def _stop(self):
        self.run.save()
        raise Interrupted(_STOPPED)

    def _train(self, phase, split, order, first, until, size, seed):
        run = self.run
        try:
            return run.runner.train(
                phase, split, order, first, until, size, seed, run.stop_wished
            )
        except tf.errors.InvalidArgumentError as error:
            if "not finite" not in str(error):
                raise
            # Several replicas: the call ended before the update.
            empty = {}
            return empty, first, first, 0, False

    def _not_finite(self, task, phase, step):
        place = self.run.journal.position
        optimizers = self.run.method.optimizers
        rates = ", ".join(
            f"{name} {float(optimizers[name].learning_rate.numpy()):g}"
            for name in phase.rates
        )
        return RunError(
            f"Loss or gradient is not finite in task '{task.name}', phase "
            f"'{phase.name}', epoch {place.get('epoch', 0)}, step {step}, "
            f"learning rate {rates}. The step was not applied and everything "
            "learned is kept. Bind Experiment.on_nonfinite='skip' to go on "
            "without such steps, or start anew in another --model_dir with a "
            "lower rate."
        )

    def _end_epoch(self, task, phase, broken):
        run, place = self.run, self.run.journal.position
        # Skipped steps are in no sum.
        steps = max(place["step"] - place.get("skipped", 0), 1)
        record = {
            f"train/{name}": (np.asarray(value) / steps).tolist()
            for name, value in place["sums"].items()
        }
        epoch = place["epoch"] + 1
        if broken:
            self._note_broken(phase, record)
        elif self._is_validated(task, phase, record, epoch):
            self._validate_epoch(task, phase, record, epoch)
        self._restore_after_nan(phase, record)
        for name, (value, _) in run.method.diagnostics().items():
            record[name] = np.asarray(value).tolist()
        place["history"].append(record)
        place.update(epoch=epoch, step=0, sums={}, skipped=0)
        labels = run.method.labels()
        run.observer.end_epoch(task, phase, run.journal, record, labels)

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
        clock = self._clock(task, phase)
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
        found = self.run.evaluator.running(
            phase.validation or task.validation, size, phase.validation_logits
        )
        record["validation/loss"] = found.loss
        record["validation/accuracy"] = found.accuracy
        if size:
            record["validation/batch_losses"] = found.batch_losses
        self._note_peak(task, epoch, found.accuracy)
        best = self.run.journal.position["best"] or {}
        # Older journals note an accuracy only: there was no choice.
        before = best.get("value", best.get("validation_accuracy"))
        wanted = phase.restore_best and epoch > phase.best_after
        if wanted and phase.improves(record[phase.best_by], before):
            self._keep_as_best(epoch, found.accuracy, record[phase.best_by])

    def _restore_after_nan(self, phase, record):
        """Goes back to the best weights if the epoch was not finite."""
        losses = [record["train/loss"], record.get("validation/loss", 0.0)]
        if phase.restores_nonfinite and not np.isfinite(losses).all():
            method = self.run.method
            restore(method.shared + method.slot, self._best_values)

    def _keep_as_best(self, epoch, accuracy, value):
        run, place = self.run, self.run.journal.position
        self._best_values = stored(run.method.shared + run.method.slot)
        place["best"] = run.save_best(self._best_values, epoch, accuracy, value)

    def _note_peak(self, task, epoch, accuracy):
        """The test accuracy at the best validation accuracy so far."""
        run, place = self.run, self.run.journal.position
        peak = place["peak"]
        if run.evaluation.record_peak and _is_better(accuracy, peak):
            test = run.evaluator.running(task.test)
            place["peak"] = {
                "epoch": epoch,
                "validation_accuracy": accuracy,
                "test_accuracy": test.accuracy,
            }

    def _finish_fit(self, phase):
        run, place = self.run, self.run.journal.position
        result = {"epochs": place["epoch"]}
        if place["history"]:
            result.update(
                {k: v for k, v in place["history"][-1].items() if _scalar(v)}
            )
        if phase.restore_best and self._best_values is not None:
            restore(run.method.shared + run.method.slot, self._best_values)
            best = result["best_epoch"] = place["best"]["epoch"]
            # Of the weights that stay; those of epoch 0 were not validated.
            known = place["history"][best - 1] if best else {}
            for name in result:
                if name.startswith("validation/"):
                    result[name] = known.get(name, math.nan)
        self._best_values = None
        phase.result = result

    # Online learning

    def scan(self, task, phase):
        """`Scan`: one run over a stream, validated at its boundaries."""
        run, place = self.run, self.run.journal.position
        split = phase.data or task.train
        boundaries = phase.boundaries_within(len(split))
        self._set_rates(phase.rates, self._clock(task, phase))
        order = np.arange(len(split), dtype=np.int32)
        seed = randomness.stateless_seed(
            run.seed, "scan", task.index, len(place["results"])
        )
        for boundary in boundaries[place["epoch"] :]:
            # place["epoch"] counts boundaries passed.
            last = boundary // phase.batch_size
            self._stretch(
                task, phase, split, order, last, phase.batch_size, seed
            )
            place["history"].append(
                {"examples": boundary, **self._measurements(task, phase)}
            )
            place["epoch"] += 1
            run.save_if_due()
        place["epochs"] += 1
        run.journal.run_epoch += 1
        phase.result = {"validations": list(place["history"])}

    # One pass without an update

    def accumulate(self, task, phase):
        """`Accumulate`: sums over data, into the method's variables."""
        run, split = self.run, phase.data or task.train
        size = self._batch_size(task, phase)
        if phase.one_by_one:
            size = run.runner.replicas
        number = len(run.journal.position["results"])
        seed = randomness.stateless_seed(
            run.seed, "accumulate", task.index, number
        )
        if run.runner.accumulate(
            phase,
            split,
            size,
            seed,
            run.policy.steps_per_call,
            lambda: run.stop_wished,
        ):
            # Not saved: the last checkpoint is of the begin of the pass, and
            # what has been drawn since is drawn again.
            raise Interrupted(_STOPPED)
        if phase.then is not None:
            phase.then()
        phase.result = {"examples": len(split)}

    # Between phases

    def validate(self, task, phase):
        """`Validate`: the running task as it is."""
        phase.result = self._measurements(task, phase)

    def _measurements(self, task, phase):
        """Of the validation split, and of the groups that a phase names."""
        evaluator = self.run.evaluator
        found = evaluator.running(task.validation)
        numbers = {
            "validation/loss": found.loss,
            "validation/accuracy": found.accuracy,
        }
        for name, split in phase.measured.items():
            accuracies = evaluator.running(split).group_accuracies
            numbers[f"{name}/accuracies"] = accuracies.tolist()
        return numbers

    def decision(self, task, phase):
        """`Decision`: computed once, recorded for a resume."""
        del task
        phase.result = {"value": phase.decide()}


def _scalar(value):
    return isinstance(value, (int, float))


def _is_better(accuracy, best):
    return best is None or accuracy > best["validation_accuracy"]
