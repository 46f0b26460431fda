"""Writes accuracy goals from runs: `python -m tfcl.goals RUN [RUN ...]`.

A goal is the validation accuracy that a run reached on a task, or the mean or
the largest of several runs. `GoalFile` reads the file.
"""

from __future__ import annotations

import json
import math
import typing

from absl import flags

from tfcl import commands
from tfcl.configuration import command_flags
from tfcl.engine.serving.written_again import mend_results
from tfcl.errors import UserError
from tfcl.files import cannot, write_atomically
from tfcl.reporting import results

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any


_TAKE: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": lambda values: sum(values) / len(values),
    "max": max,
}


def goals_of(runs: Sequence[Any], take: str = "mean") -> dict[str, float]:
    """`{task name: accuracy}` from the results of runs.

    Args:
        runs: Folders of runs with the same tasks.
        take: "mean" or "max" over the runs.

    Raises:
        UserError: If a folder has no results, or the tasks differ, or the
            validation accuracy of one was not measured.
    """
    found = [_accuracies(run) for run in runs]
    for run, accuracies in zip(runs, found):
        if list(accuracies) != list(found[0]):
            raise UserError(
                f"{run} has learned other tasks than {runs[0]}: "
                f"{', '.join(accuracies)}. Give runs of one stream, all of "
                "them finished."
            )
    return {
        name: _TAKE[take]([accuracies[name] for accuracies in found])
        for name in found[0]
    }


def _accuracies(run):
    tasks = results.read(run)["tasks"]
    found = {task["name"]: task.get("validation_accuracy") for task in tasks}
    # NaN, too: of a training without an epoch that could be validated.
    unknown = [n for n, a in found.items() if a is None or math.isnan(a)]
    if unknown:
        raise UserError(
            f"{run} has no validation accuracy of the tasks "
            f"{', '.join(unknown)}: its method measures none. Give runs of a "
            "method that validates, such as Individual."
        )
    return found


def main(argv: Sequence[str]) -> None:
    """Entry point; see the module."""
    if len(argv) < 2:
        raise UserError(
            "Which runs? python -m tfcl.goals RUN [RUN ...] --output=goals.json"
        )
    for folder in argv[1:]:
        mend_results(folder)
    write(flags.FLAGS.output, goals_of(argv[1:], flags.FLAGS.take))


def write(path: str | pathlib.Path, goals: Mapping[str, float]) -> None:
    """Writes goals for `GoalFile`, and says what they are.

    Raises:
        RunError: If the file cannot be written.
    """
    try:
        write_atomically(path, json.dumps(goals, indent=1) + "\n")
    except OSError as error:
        raise cannot(
            f"write {path}",
            error,
            error.strerror,
            then="or give another --output",
        ) from error
    for name, accuracy in goals.items():
        print(f"{name}: {100 * accuracy:.1f} %")
    print(f"{len(goals)} goals in {path}")


if __name__ == "__main__":
    command_flags.define_path("output", "JSON file to write.", required=True)
    flags.DEFINE_enum(
        "take", "mean", sorted(_TAKE), "What counts of several runs."
    )
    commands.run(main)
