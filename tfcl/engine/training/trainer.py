"""Performs the work that a method's phases yield."""

from tfcl.data.task import Task
from tfcl.engine.evaluator import Evaluator
from tfcl.engine.observer import Observer
from tfcl.engine.storage.saver import Saver
from tfcl.engine.training.accumulating import Accumulating
from tfcl.engine.training.deciding import Deciding
from tfcl.engine.training.fitting import Fitting
from tfcl.engine.training.scanning import Scanning
from tfcl.engine.training.stretches import Stretches
from tfcl.engine.training.validating import Validating
from tfcl.methods.base import Method
from tfcl.methods.work import (
    Accumulate,
    Decision,
    Phase,
    Scan,
    Validate,
    Work,
)


class Trainer:
    """Gives each kind of work to who performs it, and counts the time.

    Args:
        method: `Method` that is set up.
        stretches: `Stretches` of its steps.
        evaluator: `Evaluator`.
        saver: `Saver`.
        observer: `Observer`.
    """

    def __init__(
        self,
        method: Method,
        stretches: Stretches,
        evaluator: Evaluator,
        saver: Saver,
        observer: Observer,
    ):
        self._saver = saver
        self._stretches = stretches
        self._observer = observer
        self._performers = {
            Phase: Fitting(method, stretches, evaluator, saver, observer),
            Scan: Scanning(stretches, evaluator, saver),
            Accumulate: Accumulating(stretches),
            Validate: Validating(evaluator),
            Decision: Deciding(),
        }

    def perform(self, task: Task, work: Work) -> None:
        """Carries out a piece of work and sets its `result`.

        Raises:
            TypeError: If `phases` has yielded something else.
        """
        performer = self._performer(work)
        with self._saver.working_time:
            extent = self._stretches.extent(task, work)
            self._observer.begin_phase(task, work, self._saver.journal, extent)
            work.result = performer.perform(task, work)
            self._observer.end_phase()

    def _performer(self, work):
        for kind in type(work).__mro__:
            if kind in self._performers:
                return self._performers[kind]
        kinds = ", ".join(kind.__name__ for kind in self._performers)
        raise TypeError(
            f"`phases` must yield objects of tfcl.methods.work: {kinds}. "
            f"Received: {work!r}"
        )
