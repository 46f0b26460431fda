"""The table of a run's tasks on its page."""

from __future__ import annotations

import typing

from tfcl.reporting import markup, tables

if typing.TYPE_CHECKING:
    from typing import Any


_TEXTS = ("task", "configuration")  # Columns that are no numbers.
# Columns that a reader looks for, whatever is in them.
_ALWAYS = (
    *("#", "task", "learned %", "final %", "chance %"),
    "forgetting",
)


def section(results: dict[str, Any]) -> str:
    """The table of tasks as HTML; what is the same for all is a line above.

    Args:
        results: Content of `results.json`.
    """
    titles = (
        "#|task|classes|train / validation / test|epochs|learned %|final %|"
    )
    titles += "chance %|forgetting|parameters of task|size of task"
    rows = []
    summaries = tables.task_rows(results)
    for task, row in zip(results["tasks"], summaries, strict=True):
        sizes = [task["sizes"][s] for s in ("train", "validation", "test")]
        rows.append(
            [
                task["index"] + 1,
                row.name,
                len(task["class_names"]),
                " / ".join(map(str, sizes)),
                task["epochs"],
                tables.percent(row.learned),
                tables.percent(row.final),
                tables.percent(row.chance),
                tables.points(row.forgetting),
                f"{row.parameters:,}",
                tables.size_text(row.size),
                f"{task['seconds'] / 60.0:.1f}",
                row.configuration,
            ]
        )
    header = [*titles.split("|"), "minutes", "configuration"]
    if not any(row.configuration for row in summaries):
        header, rows = header[:-1], [row[:-1] for row in rows]
    note = (
        "Accuracies are those on the test set: learned = right after the task, "
        "final = after the last one. Forgetting, in percentage points: best "
        "accuracy before the last task minus final accuracy. Chance: answers "
        "drawn at random."
    )
    shown = markup.table_of_differing(header, rows, _TEXTS, _ALWAYS)
    return f'{shown}<p class="soft">{note}</p>'
