"""Figures of tasks that are streams: points, regions, forgetting."""

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from tfcl.reporting import drawing

_MARKERS = "os^Dv<>Pph"
_SPLITS = ("train", "validation", "test")
_ENDING = "/accuracies"


def stream_figures(task, maps, history, results=()):
    """Figures of one task by name.

    Args:
        task: `Task`.
        maps: `PointMap`s of the method.
        history: The task's training curves, `{name: array}`.
        results: Of the task's phases, in their order: those that measured
            distributions make up the curves that `history` has not.
    """
    figures = {point_map.name: region_figure(point_map) for point_map in maps}
    if tuple(task.train.image_shape) == (1, 1, 2):
        figures["data"] = data_figure(task)
    for split in _SPLITS:
        name = f"{split}{_ENDING}"
        rows = [result[name] for result in results if name in result]
        array = history.get(name, np.array(rows, float))
        if len(array) and np.shape(array)[1] > 1:
            figures[f"forgetting_{split}"] = forgetting_figure(array, split)
    return figures


def region_figure(point_map):
    """The decision regions of a classifier of points.

    Args:
        point_map: `PointMap`.
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
        style = {"s": 180, "marker": "*", "c": "white", "zorder": 5}
        axes.scatter(*point_map.keys.T, edgecolors="black", **style)
    axes.set_xlim(-1.05, 1.05)
    axes.set_ylim(-1.05, 1.05)
    return figure


def data_figure(task):
    """All splits of a stream of points: by class, by domain where that is
    known, and by distribution."""
    domains = np.asarray(task.domains)
    rows = 3 if len(domains) else 2
    figure = Figure((9.0, 3.1 * rows), dpi=120, layout="constrained")
    panels = figure.subplots(rows, len(_SPLITS), sharex=True, sharey=True)
    for column, name in enumerate(_SPLITS):
        split = getattr(task, name)
        points = split.images.reshape(-1, 2)
        kinds = {"class": split.labels}
        if len(domains):
            kinds["domain"] = domains[split.groups]
        kinds["distribution"] = split.groups
        for row, (kind, numbers) in enumerate(kinds.items()):
            _prepare(panels[row, column], f"{name}, {kind}", 9)
            _scatter(panels[row, column], points, numbers)
    return figure


def forgetting_figure(array, split):
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
