"""Online learning: one run over a stream."""

from tfcl.data.task import Task
from tfcl.engine.evaluator import Evaluator
from tfcl.engine.storage.saver import Saver
from tfcl.engine.training.stretches import Stretches
from tfcl.engine.training.validating import measured
from tfcl.methods.work import Scan


class Scanning:
    """Performs a `Scan`, validated at its boundaries.

    Args:
        stretches: `Stretches`, which train.
        evaluator: `Evaluator`, which validates.
        saver: `Saver`.
    """

    def __init__(
        self, stretches: Stretches, evaluator: Evaluator, saver: Saver
    ):
        self._stretches = stretches
        self._evaluator = evaluator
        self._saver = saver

    def perform(self, task: Task, scan: Scan) -> dict:
        """Goes through the stream; returns the scan's result."""
        journal = self._saver.journal
        position = journal.task_position
        place = position.phase_position
        boundaries = scan.boundaries_within(len(scan.data or task.train))
        self._stretches.set_rates(scan, self._stretches.clock(task, scan))
        for boundary in boundaries[place.epoch :]:
            self._stretches.scan(task, scan, boundary)
            numbers = measured(self._evaluator, task, scan)
            place.history.append({"examples": boundary, **numbers})
            place.epoch += 1
            self._saver.save_if_due()
        position.epochs += 1
        journal.run_epoch += 1
        return {"validations": list(place.history)}
