"""Accuracy goals of tasks: what a task must reach, and may be pruned to."""

from __future__ import annotations

import json
import pathlib
import typing

import gin

from tfcl.arguments import require
from tfcl.errors import UserError
from tfcl.files import local_path

if typing.TYPE_CHECKING:
    from collections.abc import Sequence


@gin.configurable
class GoalFile:
    """Goals from a JSON file `{task name: accuracy}`, accuracies in [0, 1].

    `python -m tfcl.goals` makes one from runs of single-task models.

    Args:
        path: The file, read when the first task begins.
    """

    def __init__(self, path: str = gin.REQUIRED):
        self.path = pathlib.Path(local_path(path, "GoalFile.path"))
        self._goals: dict[str, float] = {}

    def check(self, task_names: Sequence[str]) -> None:
        """Reads the file; raises a `UserError` unless every task has a goal."""
        remedy = (
            "Make one from a run of single-task models: python -m tfcl.goals "
            f"RUN --output={self.path}"
        )
        try:
            goals = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(
                f"GoalFile.path: {self.path} is no readable JSON file: "
                f"{error}. {remedy}"
            ) from error
        if not isinstance(goals, dict) or not all(
            _is_accuracy(value) for value in goals.values()
        ):
            raise UserError(
                f"GoalFile.path: {self.path} must hold an object of task names "
                f"and accuracies between 0 and 1. {remedy}"
            )
        missing = [name for name in task_names if name not in goals]
        if missing:
            raise UserError(
                f"GoalFile.path: {self.path} has no goal for the tasks "
                f"{', '.join(missing)}. It knows: "
                f"{', '.join(goals) or 'none'}. Add them to the file."
            )
        self._goals = goals

    def of(self, task_name: str, unpruned: float) -> float:
        """The goal of a task; `unpruned` is its accuracy before pruning."""
        del unpruned
        return float(self._goals[task_name])


@gin.configurable
class SameGoal:
    """One goal for every task.

    Args:
        accuracy: In [0, 1].
    """

    def __init__(self, accuracy: float = gin.REQUIRED):
        require(
            _is_accuracy(accuracy), "accuracy", "must lie in [0, 1]", accuracy
        )
        self.accuracy = accuracy

    def check(self, task_names: Sequence[str]) -> None:
        """There is nothing to check."""

    def of(self, task_name: str, unpruned: float) -> float:
        """The goal of a task; see `GoalFile.of`."""
        del task_name, unpruned
        return self.accuracy


@gin.configurable
class OwnGoal:
    """What the task itself reached before it was pruned, less a little.

    Needs no other runs. The network never grows for the sake of such a goal,
    only where the training accuracy asks for it.

    Args:
        shortfall: How much accuracy pruning may cost, in [0, 1).
    """

    def __init__(self, shortfall: float = 0.0):
        require(
            0.0 <= shortfall < 1.0, "shortfall", "must lie in [0, 1)", shortfall
        )
        self.shortfall = shortfall

    def check(self, task_names: Sequence[str]) -> None:
        """There is nothing to check."""

    def of(self, task_name: str, unpruned: float) -> float:
        """The goal of a task; see `GoalFile.of`."""
        del task_name
        return unpruned - self.shortfall


def _is_accuracy(value):
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0.0 <= value <= 1.0
