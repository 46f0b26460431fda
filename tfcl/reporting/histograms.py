"""Histograms over 0 to 1 among what methods note of a task."""

from __future__ import annotations

import numbers
import typing

import numpy as np

from tfcl.reporting import figures

if typing.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from matplotlib.figure import Figure


def is_histograms(value: Any) -> bool:
    """Whether a note is a dict of equally many counts per name."""
    if not isinstance(value, dict) or not value:
        return False
    lists = list(value.values())
    return all(
        isinstance(counts, list)
        and len(counts) == len(lists[0]) > 0
        and all(isinstance(n, numbers.Real) for n in counts)
        for counts in lists
    )


def figures_of(key: str, notes: Mapping[str, Any]) -> dict[str, Figure]:
    """Heat maps of a note: of the last task, and of each name over the tasks.

    Args:
        key: Of the note.
        notes: `{task name: histograms}` of at least one task.

    Returns:
        `{figure name: Figure}`.
    """
    last = list(notes.values())[-1]
    words = key.replace("_", " ")
    drawn = {key: figure(last, f"{words}, last task")}
    for name in last if len(notes) > 1 else ():
        rows = {task: note[name] for task, note in notes.items()}
        title = f"{words} of {name} after each task"
        drawn[f"{key}_{name.replace('/', '_')}"] = figure(rows, title)
    return drawn


def figure(value: Any, title: str) -> Figure:
    """Heat map of names by bins; each row in shares of its sum."""
    counts = np.array(list(value.values()), float)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    bins = counts.shape[1]
    columns = [f"{k / bins:.2f}" for k in range(bins)]
    return figures.heat_map(shares, list(value), columns, title, "share")


def buckets(counts: Sequence[float]) -> np.ndarray:
    """`(bins, 3)`: left and right end and count, as TensorBoard has them."""
    ends = np.linspace(0.0, 1.0, len(counts) + 1)
    return np.stack([ends[:-1], ends[1:], np.asarray(counts, float)], axis=1)
