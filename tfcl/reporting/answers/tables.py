"""The files classes.csv, confusion.csv and mistakes.csv."""

from __future__ import annotations

import csv
import io
import typing

import numpy as np

from tfcl.metrics.confusion import class_accuracies
from tfcl.reporting.answers.answers import class_name, num_classes

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from tfcl.reporting.answers.answers import VisitAnswers

    # Name of a task, names of its classes, and its answers.
    Told = tuple[str, Sequence[str], VisitAnswers]


_HEADS = {
    "classes.csv": (
        *("task", "class", "examples", "learned_right"),
        *("learned_accuracy", "end_right", "end_accuracy"),
    ),
    "confusion.csv": (
        *("task", "moment", "true_class", "given_class", "examples"),
    ),
    "mistakes.csv": (
        *("task", "moment", "test_example", "true_class"),
        *("given_class", "score"),
    ),
}
NAMES = tuple(_HEADS)


def texts(tasks: Iterable[Told]) -> dict[str, str]:
    """The content of each file, by its name; {} if no answer is known.

    - classes.csv: a line for every class with examples.
    - confusion.csv: a line for every pair of a true and a given class that
      there was; all others are 0.
    - mistakes.csv: the most confident mistakes.

    A column `moment` is "learned" (when the task's visit had ended) or "end".

    Args:
        tasks: `(task, class names, VisitAnswers)` in the order of the tasks.
    """
    tasks = [task for task in tasks if task[2].moments()]
    if not tasks:
        return {}
    lines = (_class_lines, _confusion_lines, _mistake_lines)
    return {
        name: _text(head, [row for task in tasks for row in lines_of(*task)])
        for (name, head), lines_of in zip(_HEADS.items(), lines, strict=True)
    }


def _class_lines(task, names, answers):
    width = num_classes(names, answers)
    columns: list[Any] = []
    support = np.zeros(width, np.int64)
    for moment in ("learned", "end"):
        found = answers.moments().get(moment)
        if found is None:
            columns += [[""] * width] * 2
            continue
        counts = found.confusion(width)
        accuracies, support = class_accuracies(counts)
        columns.append(np.diagonal(counts).tolist())
        columns.append([f"{accuracy:.6f}" for accuracy in accuracies])
    return [
        (task, class_name(names, k), support[k], *(c[k] for c in columns))
        for k in np.flatnonzero(support)
    ]


def _confusion_lines(task, names, answers):
    width = num_classes(names, answers)
    return [
        (
            *(task, moment, class_name(names, t), class_name(names, g)),
            counts[t, g],
        )
        for moment, found in answers.moments().items()
        for counts in [found.confusion(width)]
        for t, g in zip(*np.nonzero(counts))
    ]


def _mistake_lines(task, names, answers):
    return [
        (
            *(task, moment, row, class_name(names, found.labels[row])),
            *(class_name(names, found.given[row]), f"{found.scores[row]:.6f}"),
        )
        for moment, found in answers.moments().items()
        for row in found.mistakes()
    ]


def _text(head, rows):
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return buffer.getvalue()
