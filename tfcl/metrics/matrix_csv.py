"""The file accuracy_matrix.csv."""

from __future__ import annotations

import csv
import io
import math
import re
import typing
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tfcl.metrics.accuracy_matrix import at_last_visits, checked

if typing.TYPE_CHECKING:
    from typing import Any


def _checked_names(task_names: Sequence[str], total: int) -> list[str]:
    names = list(task_names)
    valid = all(isinstance(n, str) and n and n.isprintable() for n in names)
    if not valid or len(names) != total or len(set(names)) != total:
        raise ValueError(
            "Argument `task_names` must hold a printable name for each of the "
            f"{total} tasks, none repeated. Received: task_names={names}"
        )
    return names


def to_csv(
    R: ArrayLike,
    task_names: Sequence[str],
    visits: Sequence[int] | None = None,
) -> str:
    """Returns the text of `accuracy_matrix.csv`; `from_csv` reads it.

    One line per learned task, its name first; 6 decimals, empty where not
    evaluated. `R` may have no row yet, shape `(0, T)`.

    Args:
        R: `(k, T)`, see `accuracy_matrix`; `(visits, T)` with `visits`.
        task_names: Name of each task.
        visits: Index of the task of each line, where tasks come again.
    """
    matrix = np.array(R, dtype=np.float64)
    if visits is None:
        visits = range(len(matrix))
    checked(at_last_visits(matrix, visits)[0], gaps=True)
    return written(matrix, _checked_names(task_names, matrix.shape[1]), visits)


def written(
    matrix: np.ndarray, names: Sequence[str], visits: Sequence[Any]
) -> str:
    """Text of numbers in the form of `accuracy_matrix.csv`, not checked.

    Args:
        matrix: `(lines, T)`, NaN where there is none.
        names: Name of each task.
        visits: Index of the task of each line.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["after_task", *names])
    for task, row in zip(visits, matrix, strict=True):
        cells = ["" if np.isnan(cell) else f"{cell:.6f}" for cell in row]
        writer.writerow([names[task], *cells])
    return text.getvalue()


def from_csv(text: str) -> tuple[np.ndarray, list[str]]:
    """Returns `(R, task_names)` of a text written by `to_csv`."""
    lines = list(filter(None, csv.reader(io.StringIO(text, newline=""))))
    if not lines or lines[0][:1] != ["after_task"]:
        raise ValueError(
            "Argument `text` must begin with the header `after_task,<names>`. "
            f"Received: {text[:80]!r}"
        )
    names = _checked_names(lines[0][1:], len(lines[0]) - 1)
    R = np.full((len(lines) - 1, len(names)), math.nan)
    visits = []
    for i, (label, *cells) in enumerate(lines[1:]):
        valid = all(re.fullmatch(r"|[01](\.\d+)?", cell) for cell in cells)
        # A task seen before, or the first of those not yet seen.
        known = names[: len(set(visits)) + 1]
        if not valid or len(cells) != len(names) or label not in known:
            raise ValueError(
                f"Line {i + 2} must hold one of the names {known} and a "
                f"fraction or nothing for each of {names}. "
                f"Received: {[label, *cells]}"
            )
        R[i] = [float(cell) if cell else math.nan for cell in cells]
        visits.append(names.index(label))
    checked(at_last_visits(R, visits)[0], gaps=True)
    return R, names
