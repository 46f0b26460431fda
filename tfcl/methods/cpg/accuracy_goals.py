"""Accuracy goals of tasks: what a task must reach, and may be pruned to."""

from __future__ import annotations

import json
import pathlib
import typing
from typing import Annotated

import gin

from tfcl.arguments import checked, fits, within
from tfcl.errors import UserError
from tfcl.files import local_path

if typing.TYPE_CHECKING:
    from collections.abc import Sequence

_Accuracy = Annotated[float, within("[0, 1]")]


@gin.configurable
class GoalFile:
    """Goals from a JSON file `{task name: accuracy}`, accuracies in [0, 1].

    Accuracies may be texts ("0.7616"), as in the published program's files.
    `python -m tfcl.goals` makes one from runs of single-task models.

    Args:
        path: The file, read when the first task begins.
    """

    @checked
    def __init__(self, path: str):
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
        if isinstance(goals, dict):
            goals = {name: _number(value) for name, value in goals.items()}
        if not fits(goals, dict[str, _Accuracy]):
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

    @checked
    def __init__(self, accuracy: _Accuracy):
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

    @checked
    def __init__(self, shortfall: Annotated[float, within("[0, 1)")] = 0.0):
        self.shortfall = shortfall

    def check(self, task_names: Sequence[str]) -> None:
        """There is nothing to check."""

    def of(self, task_name: str, unpruned: float) -> float:
        """The goal of a task; see `GoalFile.of`."""
        del task_name
        return unpruned - self.shortfall


def _number(value):
    """The number that a text holds; everything else as it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
