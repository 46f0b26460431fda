"""Figures of how a task was trained, all its phases in one row of epochs."""

from __future__ import annotations

import typing

import numpy as np
from matplotlib.figure import Figure

from tfcl.reporting import figures

if typing.TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_CURVES: tuple[str, ...]
_CURVES = ("train/loss", "train/accuracy")
_CURVES += ("validation/loss", "validation/accuracy")


def task_figures(
    task: Mapping[str, Any], history: Mapping[str, np.ndarray]
) -> dict[str, Figure]:
    """Figures of one task's training by name.

    Args:
        task: Entry of `results["tasks"]`.
        history: Its arrays, the first axis being the epoch. Each 2-D array
            becomes a figure of weights over epochs. With several phases,
            names begin with that of the phase: `00_prune/train/loss`.
    """
    joined, begins = joined_phases(history)
    drawn = {}
    curves = {name: joined[name] for name in _CURVES if name in joined}
    if curves:
        drawn["training_curves"] = figures.training_curves(curves)
    drawn |= _vectors(task.get("labels", {}), joined)
    for name, figure in drawn.items():
        if name not in joined or not _parted(name)[0]:  # Of all phases.
            for axes in figure.axes:
                _mark(axes, begins)
    return drawn


def vector_figures(
    labels: Mapping[str, Any], history: Mapping[str, np.ndarray]
) -> dict[str, Figure]:
    """Those figures of `task_figures` that show vectors over epochs.

    Args:
        labels: By name, of a vector's elements.
        history: Arrays of a task's training, as of `task_figures`.
    """
    if not history:
        return {}
    return _vectors(labels, joined_phases(history)[0])


def _vectors(labels, joined):
    drawn = {}
    for name, array in joined.items():
        if np.ndim(array) == 2 and not name.endswith("/accuracies"):
            *_, plain = _parted(name)
            known = labels.get(plain, ())
            if len(known) != np.shape(array)[1]:
                known = range(np.shape(array)[1])
            drawn[name] = figures.weights_over_epochs(array, known, name)
    return drawn


def joined_phases(
    history: Mapping[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """The phases of a task one after another.

    Args:
        history: See `task_figures`.

    Returns:
        `{name: array}` without phases in the names, NaN where a phase has no
        such array (arrays whose width has grown stay `"phase/name"`); and
        `{phase: number of its first epoch, from 0}`, empty for a single
        phase.
    """
    phases = {}
    for key, array in history.items():
        phase, name = _parted(key)
        phases.setdefault(phase, {})[name] = np.asarray(array, float)
    lengths = {p: max(map(len, part.values())) for p, part in phases.items()}
    names = dict.fromkeys(name for part in phases.values() for name in part)
    joined = {}
    for name in names:
        parts = {p: part[name] for p, part in phases.items() if name in part}
        widths = {part.shape[1:] for part in parts.values()}
        if len(widths) > 1:  # The method has grown in between.
            for phase, part in parts.items():
                joined[f"{phase}/{name}"] = part
            continue
        missing = widths.pop()
        joined[name] = np.concatenate(
            [
                parts.get(p, np.full((length, *missing), np.nan))
                for p, length in lengths.items()
            ]
        )
    begins, total = {}, 0
    for phase, length in lengths.items():
        begins[phase] = total
        total += length
    return joined, begins if len(begins) > 1 else {}


def _parted(key):
    """Phase and name; a phase is what stands before `train/` and the like."""
    head, _, rest = key.partition("/")
    if head in ("train", "validation", "test") or not rest:
        return "", key
    return head, rest


def _mark(axes, begins):
    """A line where a phase begins, with its name."""
    for phase, begin in begins.items():
        number, _, name = phase.partition("_")
        axes.axvline(begin + 0.5, color="#999999", linewidth=0.8, zorder=0)
        axes.text(
            begin + 0.5,
            1.0,
            f" {name if number.isdigit() else phase}",
            transform=axes.get_xaxis_transform(),
            rotation=90,
            fontsize=6,
            color="#777777",
            ha="left",
            va="top",
            parse_math=False,
        )
