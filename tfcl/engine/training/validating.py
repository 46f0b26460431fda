"""Measurements of the task in training."""

from tfcl.data.task import Task
from tfcl.engine.evaluator import Evaluator
from tfcl.methods.work import Scan, Validate


class Validating:
    """Performs a `Validate`: the task in training as it is.

    Args:
        evaluator: `Evaluator`.
    """

    def __init__(self, evaluator: Evaluator):
        self._evaluator = evaluator

    def perform(self, task: Task, work: Validate) -> dict:
        """Measures; returns the work's result."""
        return measured(self._evaluator, task, work)


def measured(
    evaluator: Evaluator, task: Task, work: Scan | Validate
) -> dict[str, float | list[float]]:
    """Of the validation split, and of the groups that the work names.

    Returns:
        `{"validation/loss", "validation/accuracy": number, "<name>/accuracies":
        one number per group}`.
    """
    found = evaluator.running(task.validation)
    numbers: dict[str, float | list[float]] = {
        "validation/loss": found.loss,
        "validation/accuracy": found.accuracy,
    }
    for name, split in work.measured.items():
        accuracies = evaluator.running(split).group_accuracies
        assert accuracies is not None, "pairs have no groups"
        numbers[f"{name}/accuracies"] = accuracies.tolist()
    return numbers
