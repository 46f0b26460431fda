"""Steps of training, noted in the journal as they are done."""

import typing

import numpy as np
import tensorflow as tf
from absl import logging

from tfcl import randomness
from tfcl.data.split import Split
from tfcl.data.task import StreamSpec, Task
from tfcl.engine.orders import epoch_order
from tfcl.engine.steps import STOP, StepRunner
from tfcl.engine.storage.saver import STOPPED, Saver
from tfcl.engine.watching.pace import Extent
from tfcl.errors import Interrupted, RunError
from tfcl.methods.base import Method, steps_per_epoch
from tfcl.methods.work import Accumulate, Phase, Scan, Work
from tfcl.optimizers.schedules import Clock


class Stretches:
    """Runs steps in calls of bounded length; saves and stops between them.

    Orders and seeds depend on the run's seed, the task, the number of the
    phase and that of the epoch alone, so a resumed run repeats them.

    Args:
        method: `Method` that is set up.
        spec: `StreamSpec`.
        seed: Of the run.
        runner: `StepRunner` of the method.
        saver: `Saver`; its journal tells and is told the place.
        stop_wished: Function without arguments: whether this process is to
            save and stop soon.
    """

    def __init__(
        self,
        method: Method,
        spec: StreamSpec,
        seed: int,
        runner: StepRunner,
        saver: Saver,
        stop_wished: typing.Callable[[], bool],
    ):
        self._method = method
        self._spec = spec
        self._seed = seed
        self._runner = runner
        self._saver = saver
        self._journal = saver.journal
        self._stop_wished = stop_wished

    def clock(self, task: Task, phase: Phase | Scan) -> Clock:
        """What schedules and stopping rules may know at this moment."""
        place = self._journal.task_position.phase_position
        return Clock(
            epoch=place.epoch,
            run_epoch=self._journal.run_epoch,
            epochs=getattr(phase, "epochs", 1),
            history=tuple(place.history),
            task=task.name,
            tasks=self._spec.task_names,
        )

    def extent(self, task: Task, work: Work) -> Extent:
        """How long a piece of work is, for those who watch."""
        if isinstance(work, Accumulate):
            split = work.data or task.train
            size = self._batch_size(task, work)
            if work.one_by_one:
                size = self._runner.replicas
            steps = steps_per_epoch(len(split), size, False)
            return Extent(1, steps, size, steps_made=self._runner.steps_made)
        if not isinstance(work, Phase | Scan):
            return Extent()
        split = work.data or task.train
        clock = self.clock(task, work)
        rates = {name: float(rate(clock)) for name, rate in work.rates.items()}
        made = self._runner.steps_made
        if isinstance(work, Scan):
            last = max(work.boundaries_within(len(split)), default=0)
            size = work.batch_size
            return Extent(1, last // size, size, rates, steps_made=made)
        size = min(self._batch_size(task, work), len(split))
        steps = steps_per_epoch(len(split), size, work.drop_remainder)
        stops = work.stop is not None
        return Extent(work.epochs, steps, size, rates, stops, made)

    def set_rates(self, phase: Phase | Scan, clock: Clock) -> None:
        """Gives the phase's optimizers their learning rates."""
        for name, schedule in phase.rates.items():
            optimizer = self._method.optimizers[name]
            optimizer.learning_rate.assign(schedule(clock))

    def epoch(self, task: Task, phase: Phase) -> tuple[bool, bool]:
        """Trains the running epoch from the step that the journal tells.

        Returns:
            `(broken, stop)`: whether a step that is not finite has ended the
            epoch early, and if so, whether the run shall stop when the epoch
            is noted: a saved place inside it would not know that it is over.

        Raises:
            Interrupted: If the run shall stop; the state is saved.
            RunError: If a step is not finite and nothing says how to go on.
        """
        position = self._journal.task_position
        split = phase.data or task.train
        # A part of a task may be less than a batch; without its only batch an
        # epoch would do nothing.
        size = min(self._batch_size(task, phase), len(split))
        key = (task.index, position.phase_number, position.phase_position.epoch)
        order = epoch_order(
            len(split),
            phase.shuffle,
            randomness.generator(self._seed, "order", *key),
        )
        steps = steps_per_epoch(len(split), size, phase.drop_remainder)
        seed = randomness.stateless_seed(self._seed, "steps", *key)
        return self._until(steps, task, phase, split, order, size, seed)

    def scan(self, task: Task, scan: Scan, boundary: int) -> None:
        """Trains on the stream up to a boundary.

        Args:
            task: `Task`.
            scan: `Scan`.
            boundary: Examples seen at its end.

        Raises:
            Interrupted, RunError: As `epoch`.
        """
        split, size = scan.data or task.train, scan.batch_size
        order = np.arange(len(split), dtype=np.int32)
        number = self._journal.task_position.phase_number
        seed = randomness.stateless_seed(self._seed, "scan", task.index, number)
        self._until(boundary // size, task, scan, split, order, size, seed)

    def accumulate(self, task: Task, work: Accumulate, split: Split) -> None:
        """Adds the work's sums up over a split.

        Raises:
            Interrupted: If the run shall stop. Nothing is saved: the last
                checkpoint is of the begin of the pass, and what has been
                drawn since is drawn again.
        """
        size = self._batch_size(task, work)
        if work.one_by_one:
            size = self._runner.replicas
        number = self._journal.task_position.phase_number
        seed = randomness.stateless_seed(
            self._seed, "accumulate", task.index, number
        )
        stretch = self._saver.policy.steps_per_call
        if self._runner.accumulate(
            work, split, size, seed, stretch, self._stop_wished
        ):
            raise Interrupted(STOPPED)

    def _batch_size(self, task, work):
        return work.batch_size or task.batch_size or self._spec.batch_size

    def _until(self, last, task, phase, split, order, size, seed):
        """Runs up to step `last`; returns as `epoch`."""
        place = self._journal.task_position.phase_position
        while place.step < last:
            first = place.step
            until = min(first + self._saver.policy.steps_per_call, last)
            sums, done, bad, skipped, stop = self._train(
                phase, split, order, first, until, size, seed
            )
            restores = phase.restores_nonfinite
            broken = bad >= 0 and (
                restores or self._runner.on_nonfinite == STOP
            )
            if broken and not restores:
                raise self._not_finite(task, phase, bad)
            self._note(sums, done, skipped)
            if broken:
                logging.warning(
                    "Step %d of epoch %d is not finite: the best weights "
                    "return.",
                    bad,
                    place.epoch,
                )
                return True, stop
            if stop:
                self._saver.save_and_stop()
            if place.step < last:
                self._saver.save_if_due()
        return False, False

    def _train(self, phase, split, order, first, until, size, seed):
        try:
            return self._runner.train(
                *(phase, split, order, first, until, size, seed),
                self._stop_wished(),
            )
        except tf.errors.InvalidArgumentError as error:
            if "not finite" not in str(error):
                raise
            # Several replicas: the call ended before the update.
            empty = {}
            return empty, first, first, 0, False

    def _note(self, sums, done, skipped):
        """Notes the steps of one call."""
        position = self._journal.task_position
        place = position.phase_position
        for name, value in sums.items():
            # float64 sums of float32 calls; lists, so that JSON can hold them
            # between two calls.
            before = np.asarray(place.sums.get(name, 0.0))
            place.sums[name] = (before + value.astype(float)).tolist()
        position.steps += done - place.step
        self._journal.global_step += done - place.step
        place.step = done
        self._journal.skipped_steps += skipped
        place.skipped += skipped
        if skipped:
            logging.warning(
                "%d steps of epoch %d were not finite and skipped.",
                skipped,
                place.epoch,
            )

    def _not_finite(self, task, phase, step):
        optimizers = self._method.optimizers
        epoch = self._journal.task_position.phase_position.epoch
        rates = ", ".join(
            f"{name} {float(optimizers[name].learning_rate.numpy()):g}"
            for name in phase.rates
        )
        return RunError(
            f"Loss or gradient is not finite in task '{task.name}', phase "
            f"'{phase.name}', epoch {epoch}, step {step}, "
            f"learning rate {rates}. The step was not applied "
            "and everything learned is kept. Bind "
            "Experiment.on_nonfinite='skip' to go on without such steps, or "
            "start anew in another --model_dir with a lower rate."
        )
