"""One pass over data without an update."""

from tfcl.data.task import Task
from tfcl.engine.training.stretches import Stretches
from tfcl.methods.work import Accumulate


class Accumulating:
    """Performs an `Accumulate`.

    Args:
        stretches: `Stretches`, which make the pass.
    """

    def __init__(self, stretches: Stretches):
        self._stretches = stretches

    def perform(self, task: Task, work: Accumulate) -> dict:
        """Fills the work's variables with its sums; returns its result."""
        split = work.data or task.train
        self._stretches.accumulate(task, work, split)
        if work.then is not None:
            work.then()
        return {"examples": len(split)}
