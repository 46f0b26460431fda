"""How far a run is, how fast it goes, and when it will be done."""

from __future__ import annotations

import collections
import threading
import time
import typing

if typing.TYPE_CHECKING:
    from collections.abc import Callable

    from tfcl.engine.storage.journal import Journal


# Seconds between two looks that count, and looks that make up the rate.
_BETWEEN, _LOOKS = 1.0, 60


def nothing_made() -> int:
    """Of work without steps."""
    return 0


class Extent(typing.NamedTuple):
    """How long a piece of work is.

    Attributes:
        epochs: At most; 1 of a pass over a stream.
        steps: Of an epoch; 0 of work that has none.
        batch_size: Examples of a step.
        rates: `{optimizer: learning rate}` at the begin.
        may_stop: Whether a rule may end it earlier.
        steps_made: Function without arguments: steps that this process has
            made, those of a call that goes on included. Called from several
            threads.
    """

    epochs: int = 1
    steps: int = 0
    batch_size: int = 0
    rates: dict[str, float] = {}
    may_stop: bool = False
    steps_made: Callable[[], int] = nothing_made


class Moment(typing.NamedTuple):
    """Where a run is.

    Attributes:
        epoch, epochs: The running epoch, from 1, and how many there are.
        step, steps: Done in the epoch, and how many there are.
        share: Done of the work, 0 to 1.
        images_per_second: Trained on, validation counted as time; None until
            known.
        task_seconds, run_seconds: So far.
        task_left, run_left: Seconds still to go, about; None until known.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    share: float
    images_per_second: float | None
    task_seconds: float
    task_left: float | None
    run_seconds: float
    run_left: float | None


class Pace:
    """Estimates of a run from its steps and its earlier tasks.

    A phase's rate is that of the last minute. The first look at which a step
    is done is where counting begins, as making the graph takes seconds, too.

    Of phases that are still to come in a task nothing is known but the tasks
    before it: their mean time says how long it takes. A first task of several
    phases is expected to end with the phase in hand.

    Args:
        journal: `Journal` at the start.
        num_visits: Times that a task is learned in the stream.
        clock: Function without arguments to seconds.
    """

    def __init__(
        self,
        journal: Journal,
        num_visits: int,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._clock = clock
        self._num_visits = num_visits
        self._learned = [record.seconds for record in journal.visits]
        records = journal.visits
        self._phases_before = len(records[-1].phases) if records else None
        # As if the run had begun so long ago.
        self._run_begun = clock() - journal.seconds
        position = journal.position
        self._task_begun = clock() - (position.seconds if position else 0.0)
        self._lock = threading.Lock()
        self._extent = Extent()
        self._number = 0
        self._made = self._done = 0
        self._begun = clock()
        self._looks: collections.deque[tuple[float, int]]
        self._looks = collections.deque(maxlen=_LOOKS)

    def begin(self, extent: Extent, done: int, number: int) -> None:
        """A piece of work begins.

        Args:
            extent: `Extent`.
            done: Steps of it that are done, by an earlier process.
            number: Of the phase in the task, from 0.
        """
        with self._lock:
            self._extent, self._done, self._number = extent, done, number
            self._made = extent.steps_made()
            self._begun = self._clock()
            self._looks.clear()

    def end_epoch(self, epoch: int) -> None:
        """`epoch` epochs of the work are done, however many steps they had."""
        with self._lock:
            done = epoch * self._extent.steps
            behind = done - self._steps_done()
            self._done += behind

    def end_task(self, phases: int) -> None:
        """A task is learned and measured.

        Args:
            phases: Those that it had.
        """
        with self._lock:
            now = self._clock()
            self._learned.append(now - self._task_begun)
            self._task_begun, self._phases_before = now, phases

    def now(self) -> Moment:
        """The moment."""
        with self._lock:
            return self._now()

    def _steps_done(self):
        return self._done + self._extent.steps_made() - self._made

    def _now(self):
        now, extent = self._clock(), self._extent
        total = extent.epochs * extent.steps
        done = min(self._steps_done(), total) if total else 0
        rate = self._rate(now, extent.steps_made() - self._made)
        seconds = now - self._task_begun
        left = None
        if rate:
            left = self._task_left((total - done) / rate, seconds)
        epoch, step = divmod(done, extent.steps) if extent.steps else (0, 0)
        if step == 0 and epoch and epoch == extent.epochs:
            epoch, step = epoch - 1, extent.steps
        return Moment(
            epoch=epoch + 1,
            epochs=extent.epochs,
            step=step,
            steps=extent.steps,
            share=done / total if total else 0.0,
            images_per_second=rate and rate * extent.batch_size,
            task_seconds=seconds,
            task_left=left,
            run_seconds=now - self._run_begun,
            run_left=self._run_left(left, seconds),
        )

    def _rate(self, now, made):
        """Steps per second, None until known."""
        if not made:
            return None
        looks = self._looks
        if not looks or now - looks[-1][0] >= _BETWEEN:
            looks.append((now, made))
        begun, before = looks[0]
        if made > before and now > begun:
            return (made - before) / (now - begun)
        if now - begun >= 2 * _BETWEEN:  # Steps are slow, or counted rarely.
            return made / (begun - self._begun)
        return None

    def _task_left(self, of_phase, seconds):
        if self._phases_before is None:
            return of_phase
        by_others = max(self._usual() - seconds, 0.0)
        if self._extent.may_stop:
            return min(of_phase, by_others)
        if self._number + 1 >= self._phases_before:  # The last one.
            return of_phase
        return max(of_phase, by_others)

    def _run_left(self, left, seconds):
        if left is None:
            return None
        task = self._usual() if self._learned else seconds + left
        coming = max(self._num_visits - len(self._learned) - 1, 0)
        return left + coming * task

    def _usual(self):
        """Mean seconds of a learned task."""
        return sum(self._learned) / len(self._learned)


def clock_text(seconds: float | None) -> str:
    """Seconds as "0:07", "12:05" or "2:01:05"; "?" of None."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}"
