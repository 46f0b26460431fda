"""The final table of a run, and how its values are written."""

import math
import numbers
from typing import NamedTuple

import numpy as np
from rich.table import Table
from rich.text import Text

UNKNOWN = "–"


class TaskRow(NamedTuple):
    """What a final table says of one learned task.

    Accuracies are fractions 0-1. `forgetting` is Chaudhry et al.'s (ECCV
    2018): the best accuracy before the last task minus the final one;
    `chance` is that of answers drawn at random. All are NaN where unknown;
    the newest task has no forgetting yet.
    """

    name: str
    learned: float
    final: float
    forgetting: float
    parameters: int
    size: int
    configuration: str
    chance: float = math.nan


def task_rows(results: dict) -> list[TaskRow]:
    """One row per learned task, from the content of `results.json`."""
    matrix = [np.array(row, float) for row in results["accuracy_matrix"]]
    rows = []
    for j, task in enumerate(results["tasks"]):
        column = np.array([row[j] for row in matrix[task["visit"] :]])
        known = column[:-1][np.isfinite(column[:-1])]
        final = column[-1] if column.size else math.nan
        lost = known.max() - final if known.size else math.nan
        test, chance = task.get("test_accuracy"), task.get("chance")
        rows.append(
            TaskRow(
                name=str(task["name"]),
                learned=math.nan if test is None else float(test),
                final=float(final),
                forgetting=float(lost),
                parameters=int(task["footprint"]["task_parameters"]),
                size=int(task["footprint"]["task_bytes"]),
                configuration=str(task["method"].get("configuration", "")),
                chance=math.nan if chance is None else float(chance),
            )
        )
    return rows


def final_table(results: dict) -> Table:
    """The table that a run prints at its end, above `summary_line`."""
    rows = task_rows(results)
    configured = any(row.configuration for row in rows)
    table = Table(
        title=Text(f"{results['method']} on {results['stream']}", "bold"),
        title_justify="left",
    )
    table.add_column("task", overflow="fold")
    chances = {percent(row.chance) for row in rows} - {UNKNOWN}
    differ = len(chances) > 1
    if len(chances) == 1:
        table.caption = Text(f"chance: {chances.pop()} %", "dim")
        table.caption_justify = "left"
    titles = ["learned %", "final %", *(["chance %"] if differ else [])]
    for name in (*titles, "forgetting", "size of task"):
        table.add_column(name, justify="right", no_wrap=True)
    if configured:
        table.add_column("configuration", overflow="fold")
    for row in rows:
        # Text, not str: a name such as "[red]" is no markup.
        cells = [
            row.name,
            percent(row.learned),
            percent(row.final),
            *([percent(row.chance)] if differ else []),
            points(row.forgetting),
            size_text(row.size),
            *([row.configuration] if configured else []),
        ]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def summary_line(results: dict) -> str:
    """The run in one line: tasks, accuracy, forgetting, size and time."""
    metrics = results.get("metrics") or {}
    learned, total = len(results["tasks"]), len(results["task_names"])
    parts = [f"{learned} of {total} tasks"]
    if metrics.get("average_accuracy") is not None:
        parts.append(f"average {percent(metrics['average_accuracy'])} %")
    if metrics.get("forgetting") is not None:
        parts.append(f"forgetting {points(metrics['forgetting'])} points")
    if learned:
        parts.append(f"stored {size_text(stored_bytes(results))}")
    parts.append(duration_text(results["seconds"]))
    return ", ".join(parts)


def stored_bytes(results: dict) -> int:
    """Bytes that serve all learned tasks: the shared ones and each task's."""
    sizes = [task["footprint"] for task in results["tasks"]]
    own = sum(size["task_bytes"] for size in sizes)
    return own + (sizes[-1]["shared_bytes"] if sizes else 0)


def percent(fraction: float | numbers.Real | None) -> str:
    """A fraction 0-1 as percent with one decimal, without the sign."""
    if fraction is None or math.isnan(fraction):
        return UNKNOWN
    return f"{100.0 * fraction:.1f}".replace("-", "−")


def points(difference: float | numbers.Real | None) -> str:
    """A difference of two fractions in percentage points, with its sign."""
    text = percent(difference)
    if text in (UNKNOWN, "0.0", "−0.0"):
        return text.removeprefix("−")
    return text if text.startswith("−") else f"+{text}"


def size_text(size: float) -> str:
    """Bytes in kB, MB or GB (powers of 1000) with three digits."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= factor:
            value = size / factor
            digits = 2 if value < 10 else 1 if value < 100 else 0
            return f"{value:.{digits}f} {unit}"
    return f"{size:.0f} bytes"


def duration_text(seconds: float) -> str:
    """Seconds as "9.5 s", "13 min 32 s" or "2 h 05 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
