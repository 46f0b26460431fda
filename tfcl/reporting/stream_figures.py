"""Figures of tasks that are streams: points, regions, forgetting."""

from __future__ import annotations

import typing

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from tfcl.reporting import drawing

if typing.TYPE_CHECKING:
    from typing import Any


_MARKERS = "os^Dv<>Pph"
_SPLITS = ("train", "validation", "test")
_ENDING = "/accuracies"


class SplitPoints(typing.NamedTuple):
    """A split of a stream of points.

    Attributes:
        points: `(n, 2)`.
        kinds: `{kind: int (n,)}`: which class, domain, distribution and the
            like each point is of.
    """

    points: np.ndarray
    kinds: dict[str, np.ndarray]


def stream_figures(
    maps: typing.Iterable,
    history: dict[str, np.ndarray],
    results: typing.Sequence[dict] = (),
    points: dict[str, SplitPoints] | None = None,
) -> dict[str, Figure]:
    """Figures of one task by name.

    Args:
        maps: What its classifier makes of the plane; see `region_figure`.
        history: Its training curves, `{name: array}`.
        results: Of its phases, in their order: those that measured
            distributions make up the curves that `history` has not.
        points: `{split: SplitPoints}`, None of a task of something else.
    """
    figures = {point_map.name: region_figure(point_map) for point_map in maps}
    if points:
        figures["data"] = data_figure(points)
    for split in _SPLITS:
        name = f"{split}{_ENDING}"
        rows = [result[name] for result in results if name in result]
        array = history.get(name, np.array(rows, float))
        if len(array) and np.shape(array)[1] > 1:
            figures[f"forgetting_{split}"] = forgetting_figure(array, split)
    return figures


def region_figure(point_map: Any) -> Figure:
    """The decision regions of a classifier of points.

    Args:
        point_map: `PointMap` of a method: title and arrays.
    """
    figure = Figure((5.0, 5.0), dpi=120, layout="constrained")
    axes = figure.subplots()
    _prepare(axes, point_map.title, 10)
    if point_map.regions is not None:
        regions = point_map.regions
        places = np.linspace(-1.01, 1.01, len(regions))
        count = int(regions.max()) + 1
        axes.pcolormesh(
            places,
            places,
            regions,
            cmap=ListedColormap([_colour(k) for k in range(count)]),
            vmin=-0.5,
            vmax=count - 0.5,
            alpha=0.25,
            linewidth=0,
            rasterized=True,
        )
    _scatter(axes, point_map.points, point_map.labels)
    if point_map.keys is not None:
        style: dict[str, Any]
        style = {"s": 180, "marker": "*", "c": "white", "zorder": 5}
        axes.scatter(*point_map.keys.T, edgecolors="black", **style)
    axes.set_xlim(-1.05, 1.05)
    axes.set_ylim(-1.05, 1.05)
    return figure


def data_figure(points: dict[str, SplitPoints]) -> Figure:
    """The points of all splits, coloured by each of their kinds.

    Args:
        points: `{split: SplitPoints}`, all with the same kinds.
    """
    kinds = list(next(iter(points.values())).kinds)
    rows = len(kinds)
    figure = Figure((9.0, 3.1 * rows), dpi=120, layout="constrained")
    panels = figure.subplots(
        rows, len(points), sharex=True, sharey=True, squeeze=False
    )
    for column, (name, split) in enumerate(points.items()):
        for row, kind in enumerate(kinds):
            _prepare(panels[row, column], f"{name}, {kind}", 9)
            _scatter(panels[row, column], split.points, split.kinds[kind])
    return figure


def forgetting_figure(array: np.ndarray, split: str) -> Figure:
    """Accuracy on each distribution, over the stream.

    Args:
        array: `(measurements, distributions)`.
        split: Name of the split.
    """
    figure = Figure((8.0, 3.6), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.set_title(f"Accuracy on each distribution, {split}", fontsize=10)
    moments = np.arange(1, len(array) + 1)
    few = array.shape[1] <= 12
    for number, accuracies in enumerate(np.transpose(array)):
        style = {"color": _colour(number), "linewidth": 1.2 if few else 0.5}
        label = f"{number + 1}" if few else None
        axes.plot(moments, accuracies, marker=".", label=label, **style)
    axes.plot(moments, array.mean(axis=1), "k--", linewidth=2, label="mean")
    axes.set_xlabel("measurement (distributions seen)")
    axes.set_ylabel("accuracy")
    axes.set_ylim(-0.03, 1.03)
    axes.legend(
        fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)
    )
    return figure


def _prepare(axes, title, size):
    axes.set_title(title, fontsize=size)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])


def _scatter(axes, points, numbers):
    for number in np.unique(numbers):
        style = {"s": 8, "color": _colour(number), "linewidths": 0}
        marker = _MARKERS[number % len(_MARKERS)]
        axes.scatter(*points[numbers == number].T, marker=marker, **style)


def _colour(number):
    return drawing.PALETTE[number % len(drawing.PALETTE)]
