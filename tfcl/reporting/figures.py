"""Figures of a run.

Every function returns a `matplotlib.figure.Figure`; nothing here keeps
state or needs a display. Accuracies come in as fractions 0-1 and are shown in
percent.
"""

from __future__ import annotations

import typing

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tfcl.reporting import drawing
from tfcl.reporting.drawing import PALETTE

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


_MAX_NUMBERED = 20  # rows of a heat map up to which cells carry numbers
_MAX_NAMED = 12  # lines up to which a legend names each of them
_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def accuracy_matrix(
    R: np.ndarray | Sequence[Sequence[float | None]],
    task_names: Sequence[str],
    visits: Sequence[Any] | None = None,
) -> Figure:
    """Heat map of R[i, j], the test accuracy on task j after visit i.

    Args:
        R: `[visits, tasks]` fractions 0-1; None or NaN where not evaluated
            (such cells stay empty). It may have fewer rows than there are
            tasks.
        task_names: Names of all tasks.
        visits: Index of the task learned in each row. Defaults to 0, 1, ....
    """
    matrix = drawing.as_matrix(R, len(task_names))
    visits = visits or range(len(matrix))
    figure = heat_map(
        matrix * 100.0,
        [task_names[task] for task in visits],
        task_names,
        title="Test accuracy on each task after each task",
        label="test accuracy (%)",
        digits=1,
        scale=(0.0, 100.0),
    )
    drawing.label_axes(figure.axes[0], "tested on", "after learning")
    return figure


def heat_map(
    values: ArrayLike,
    rows: Sequence[Any],
    columns: Sequence[str],
    title: str = "",
    label: str = "",
    digits: int | None = None,
    scale: tuple[float, float] | None = None,
) -> Figure:
    """Heat map with numbers in the cells (if there are at most 20 rows).

    Args:
        values: `[rows, columns]`; NaN cells stay empty.
        rows: Name of each row, drawn from top to bottom.
        columns: Name of each column.
        title, label: Texts above the figure and at the colour scale.
        digits: Decimals of the numbers in the cells. None for 2, or as many
            as the largest number needs to show two digits that are not 0.
        scale: Values of the palest and of the darkest colour. Defaults to the
            least and the largest one.
    """
    values = np.asarray(values, float).reshape(len(rows), len(columns))
    finite = values[np.isfinite(values)]
    if not finite.size:
        return drawing.empty_figure(title, "nothing evaluated yet")
    numbered = max(values.shape) <= _MAX_NUMBERED
    cell = (0.56, 0.36) if numbered else (0.2, 0.2)
    figure, axes = drawing.grid_axes(rows, columns, cell, title)
    low, high = scale or (float(finite.min()), float(finite.max()))
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    # From pale yellow, not from near-white: white means empty.
    colours = ListedColormap(colormaps["YlGnBu"](np.linspace(0.06, 0.97, 256)))
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(values),
        cmap=colours,
        vmin=low,
        vmax=high,
        edgecolors="white",
        linewidth=1.0 if numbered else 0.4,
    )
    drawing.add_colour_bar(figure, axes, mesh, label)
    if numbered:
        digits = _decimals(finite) if digits is None else digits
        for i, j in np.argwhere(np.isfinite(values)):
            shade = colours((values[i, j] - low) / (high - low))[:3]
            dark = np.dot(shade, (0.299, 0.587, 0.114)) < 0.55
            style = {"color": "white" if dark else drawing.INK, "fontsize": 7.5}
            number = f"{values[i, j]:.{digits}f}"
            axes.text(j + 0.5, i + 0.5, number, **style, **drawing.CENTRED)
    return figure


def _decimals(values):
    largest = np.abs(values).max()
    return int(np.clip(1 - np.floor(np.log10(largest)), 2, 6)) if largest else 2


def accuracy_over_time(
    R: np.ndarray | Sequence[Sequence[float | None]],
    task_names: Sequence[str],
    visits: Sequence[Any] | None = None,
    chances: Sequence[Sequence[float | None]] | None = None,
) -> Figure:
    """One line per task from the moment it was learned, and their average.

    Of up to 12 tasks, thin lines tell the accuracy of answers drawn at random:
    a grey one if it is the same for all, else one in the colour of each task.

    Args:
        R, task_names, visits: As of `accuracy_matrix`.
        chances: That accuracy, shaped as `R`; None draws none.
    """
    title = "Test accuracy of each task over time"
    matrix = drawing.as_matrix(R, len(task_names)) * 100.0
    visits = list(visits or range(len(matrix)))
    learned = len(set(visits))
    for j in range(learned):
        matrix[: visits.index(j), j] = np.nan  # not learned yet
    if not np.isfinite(matrix).any():
        return drawing.empty_figure(title, "no task evaluated yet")
    figure, (axes,) = drawing.panels(9.0, 4.2, title)
    drawing.label_axes(axes, "tasks learned", "test accuracy (%)")
    colours = [colour for colour in PALETTE if colour != "#000000"]
    if learned > len(colours):
        colours = list(colormaps["viridis"](np.linspace(0.0, 0.88, learned)))
    marker = "o" if learned <= _MAX_NUMBERED else ""
    steps = np.arange(1, len(matrix) + 1)
    for j in range(learned):
        style = {"color": colours[j], "linewidth": 1.4, "markersize": 3.5}
        style |= {"marker": "o" if j == learned - 1 else marker}
        first = visits.index(j)
        axes.plot(steps[first:], matrix[first:, j], **style)
    names = [drawing.short_name(name) for name in task_names[:learned]]
    known = np.ma.masked_invalid(matrix[:, :learned])
    average = known.mean(axis=1).filled(np.nan)
    axes.plot(steps, average, color="white", linewidth=6.0)
    axes.plot(steps, average, color="black", linewidth=3.2, marker=marker)
    if learned <= _MAX_NAMED:
        lines = axes.get_lines()
        shown, told = [lines[-1], *lines[:learned]], ["average", *names]
        if chances is not None:
            levels = drawing.as_matrix(chances, len(task_names))
            for name, line in chance_lines(axes, levels, colours).items():
                shown.append(line)
                told.append(name)
        drawing.add_legend(axes, shown, told)
    else:
        drawing.add_legend(
            axes, axes.get_lines()[-1:], ["average"], inside=True
        )
        scale = ScalarMappable(Normalize(1, learned), ListedColormap(colours))
        drawing.add_colour_bar(
            figure, axes, scale, "task, in order of learning"
        )
    axes.set_xlim(0.7, max(len(matrix), 2) + 0.3)
    return figure


def chance_lines(
    axes: Axes, levels: np.ndarray, colours: Sequence[Any]
) -> dict[str, Line2D]:
    """Draws the accuracy of answers drawn at random, thin and dashed.

    Args:
        axes: Of accuracies in percent over the number of learned tasks.
        levels: `(visits, tasks)` fractions 0-1, NaN where a task was not
            learned yet.
        colours: Of the tasks, for levels that differ between them.

    Returns:
        `{what to call it in a legend: line}`; {} if no level is known.
    """
    steps, levels = np.arange(1, len(levels) + 1), levels * 100.0
    levels = levels[:, np.isfinite(levels).any(axis=0)]
    if not levels.size:
        return {}
    thin: dict[str, Any] = {"linewidth": 0.9, "linestyle": (0, (4, 3))}
    common = np.nanmax(levels, axis=1)
    same = np.isnan(levels) | (levels == common[:, None])
    if same.all():
        thin |= {"color": "#707070", "zorder": 1.5}
        (line,) = axes.plot(steps, common, **thin)
        return {"chance" + _level(common): line}
    for level, colour in zip(levels.T, colours):
        axes.plot(steps, level, color=colour, zorder=1.5, **thin)
    return {"chance, by task": Line2D([], [], color="#707070", **thin)}


def _level(levels):
    """The level as text, if it is one."""
    return f": {levels[0]:.1f} %" if np.ptp(levels) == 0.0 else ""


def average_accuracies(
    curves: Sequence[tuple[str, Any]], chance: ArrayLike | None = None
) -> Figure:
    """Average accuracy over the learned tasks, a line per configuration.

    Args:
        curves: List of `(label, [runs, tasks] fractions 0-1)`. Several runs
            are drawn as their mean in a band of their sample deviation.
        chance: Average of answers drawn at random, `(tasks,)`, as a thin
            line; None if it is not the same for all.
    """
    figure, (axes,) = drawing.panels(9.0, 4.2, "Average accuracy so far")
    drawing.label_axes(axes, "tasks learned", "average test accuracy (%)")
    lines = []
    for number, (_, values) in enumerate(curves):
        values = np.asarray(values, float) * 100.0
        mean, steps = values.mean(axis=0), np.arange(1, values.shape[1] + 1)
        style = {"color": PALETTE[number % len(PALETTE)]}
        dash = ("-", "--", ":", "-.")[number // len(PALETTE) % 4]
        marker = "o" if len(mean) <= _MAX_NUMBERED else ""
        lines += axes.plot(
            steps, mean, dash, marker=marker, markersize=3.5, **style
        )
        if len(values) > 1:
            std = values.std(axis=0, ddof=1)
            axes.fill_between(steps, mean - std, mean + std, alpha=0.2, **style)
    labels = [drawing.short_name(label, 48) for label, _ in curves]
    if chance is not None:
        levels = np.asarray(chance, float)[:, None]
        for name, line in chance_lines(axes, levels, ()).items():
            lines.append(line)
            labels.append(name)
    drawing.add_legend(axes, lines, labels)
    return figure


def footprint(tasks: list[dict]) -> Figure:
    """Stored bytes after each task: shared, earlier tasks', the new task's.

    Args:
        tasks: Entries of `results["tasks"]`; of each, `name` and
            `footprint` with `shared_bytes` (all that serves several tasks)
            and `task_bytes` (this task's own) are read.
    """
    title = "Stored size after each task"
    if not tasks:
        return drawing.empty_figure(title, "no task learned yet")
    own, shared = (
        np.array([task["footprint"][key] for task in tasks], float)
        for key in ("task_bytes", "shared_bytes")
    )
    earlier = np.concatenate([[0.0], np.cumsum(own)[:-1]])
    largest = (shared + earlier + own).max()
    factor, unit = next((u for u in _UNITS if largest >= u[0]), (1.0, "bytes"))
    width = float(np.clip(0.5 * len(tasks) + 3.0, 5.5, 11.0))
    figure, (axes,) = drawing.panels(width, 3.8, title)
    drawing.label_axes(axes, "", f"stored ({unit})")
    places = np.arange(len(tasks))
    parts = np.array([shared, earlier, own]) / factor
    bars = [
        axes.bar(places, part, 0.75, parts[:k].sum(axis=0), color=colour)
        for k, (part, colour) in enumerate(
            zip(parts, (PALETTE[4], "#D0D0D0", PALETTE[1]), strict=True)
        )
    ]
    drawing.name_ticks(axes.xaxis, places, [task["name"] for task in tasks])
    axes.grid(visible=False, axis="x")
    axes.set_xlim(-0.6, max(len(tasks), 4) - 0.4)
    drawing.add_legend(
        axes, bars[::-1], ["new task", "earlier tasks", "shared"]
    )
    return figure


def training_curves(history: dict, phase: str = "") -> Figure:
    """Loss and accuracy per epoch of one task, training and validation.

    Args:
        history: `train/loss`, `train/accuracy`, `validation/loss`,
            `validation/accuracy`, each `[epochs]`, NaN where not evaluated;
            each of them may be missing.
        phase: Name shown in the titles, if the task has several phases.
    """
    titles = [f"{phase}  {name}".strip() for name in ("Loss", "Accuracy (%)")]
    figure, panels = drawing.panels(9.0, 3.0, *titles)
    for axes, name in zip(panels, ("loss", "accuracy"), strict=True):
        factor = 100.0 if name == "accuracy" else 1.0
        drawing.label_axes(axes, "epoch", "")
        lines = {}
        for split, colour, dash in (("train", 0, "-"), ("validation", 1, "--")):
            values = np.asarray(history.get(f"{split}/{name}", ()), float)
            places = np.flatnonzero(np.isfinite(values))
            if places.size:
                style: dict[str, Any]
                style = {"color": PALETTE[colour], "linestyle": dash}
                style |= {"linewidth": 1.7, "markersize": 3.5}
                style |= {"marker": "o" if places.size <= 15 else ""}
                points = places + 1, values[places] * factor
                lines[split] = axes.plot(*points, **style)[0]
        drawing.add_legend(axes, lines.values(), lines, inside=True)
    return figure


def weights_over_epochs(
    array: np.ndarray, labels: Sequence[str], title: str
) -> Figure:
    """Lines of K weights over epochs: the 8 largest at the end in colour.

    Args:
        array: `[epochs, K]`, for example posteriors of configurations.
        labels: Name of each of the K weights.
    """
    array = np.asarray(array, float)
    if array.ndim != 2 or not array.size or not np.isfinite(array).any():
        return drawing.empty_figure(title, "not recorded")
    figure, (axes,) = drawing.panels(9.0, 3.4, title)
    drawing.label_axes(axes, "epoch", "weight")
    epochs = np.arange(1, len(array) + 1)
    marker = "o" if len(array) == 1 else ""
    known = np.flatnonzero(np.isfinite(array).any(axis=1))
    last = np.nan_to_num(array[known[-1]])
    order = np.argsort(-last, kind="stable")
    top, rest = order[: len(PALETTE)], order[len(PALETTE) :]
    thin = {"color": "#B8B8B8", "linewidth": 0.8, "marker": marker}
    grey = axes.plot(epochs, array[:, rest], **thin) if rest.size else []
    lines = []
    for rank, k in enumerate(top):
        style: dict[str, Any]
        style = {"color": PALETTE[rank], "linestyle": "-" if rank < 4 else "--"}
        style |= {"linewidth": 1.6 if rank else 2.2, "zorder": 4 - 0.1 * rank}
        lines += axes.plot(epochs, array[:, k], marker=marker, **style)
    names = [f"{drawing.short_name(labels[k])}  ({last[k]:.2f})" for k in top]
    if grey:
        lines.append(grey[0])
        names.append(f"{len(grey)} more")
    drawing.add_legend(axes, lines, names, heading="weight at the end")
    axes.set_ylim(bottom=min(0.0, np.nanmin(array)))
    return figure


def bar_grid(
    matrix: ArrayLike,
    task_names: Sequence[str],
    layer_names: Sequence[str] | None = None,
    value_names: Sequence[str] = ("task-specific", "shared"),
    title: str = "Configuration of each task",
) -> Figure:
    """One row per task, one cell per layer, coloured by what the layer is.

    Args:
        matrix: `[tasks, layers]` integers, indices into `value_names`; NaN
            or a negative number leaves the cell empty.
        task_names: Name of each row.
        layer_names: Name of each column. Defaults to 1, 2, ...
        value_names: Meaning of 0, 1, ...; at most 8.
    """
    matrix = np.asarray(matrix, float)
    if matrix.ndim != 2 or not matrix.size:
        return drawing.empty_figure(title, "no task learned yet")
    layer_names = layer_names or [str(k + 1) for k in range(matrix.shape[1])]
    colours = ["#F0B27A", PALETTE[0], *PALETTE[2:]][: len(value_names)]
    height = 0.3 if len(matrix) <= _MAX_NUMBERED else 0.2
    figure, axes = drawing.grid_axes(
        task_names, layer_names, (0.5, height), title
    )
    axes.pcolormesh(
        np.ma.masked_where(~(matrix >= 0), matrix),
        cmap=ListedColormap(colours),
        vmin=-0.5,
        vmax=len(value_names) - 0.5,
        edgecolors="white",
        linewidth=2.0,
    )
    drawing.label_axes(axes, "layer, from input to output", "")
    patches = [Patch(color=colour) for colour in colours]
    drawing.add_legend(axes, patches[::-1], list(value_names)[::-1])
    return figure
