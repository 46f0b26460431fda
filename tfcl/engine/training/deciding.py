"""What the host computes between two phases."""

from tfcl.data.task import Task
from tfcl.methods.work import Decision


class Deciding:
    """Performs a `Decision`: computed once, recorded for a resume."""

    def perform(self, task: Task, work: Decision) -> dict:
        """Asks the method; returns the work's result."""
        del task
        return {"value": work.decide()}
