"""The confusion matrix of a task and a sheet of its mistakes, as figures."""

from __future__ import annotations

import typing

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from tfcl.reporting import drawing, figures
from tfcl.reporting.answers.answers import class_name, num_classes

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tfcl.reporting.answers.answers import Answers, VisitAnswers


_COLUMNS = 4
_CELL_HEIGHT = 1.2  # In widths, with three lines of text below an image.
_MOST_COUNTS = 12  # Classes up to which the numbers are written.


def when_learned(
    task: str, names: Sequence[str], answers: VisitAnswers
) -> dict[str, Figure]:
    """Figures of a task that has just been learned, by TensorBoard tag.

    Args:
        task: Its name.
        names: Of its classes.
        answers: `VisitAnswers`; without any there is no figure.
    """
    if answers.learned is None:
        return {}
    width = num_classes(names, answers)
    return _drawn(task, names, answers.learned, width, "when learned")


def at_the_end(
    tasks: Iterable[tuple[str, Sequence[str], VisitAnswers]],
) -> dict[str, Figure]:
    """Figures, under the same tags, of the tasks whose answers have changed.

    Args:
        tasks: `(task, class names, VisitAnswers)`.
    """
    drawn = {}
    for task, names, answers in tasks:
        if answers.changed and answers.end is not None:
            width = num_classes(names, answers)
            drawn |= _drawn(task, names, answers.end, width, "at the end")
    return drawn


def _drawn(task, names, answers: Answers, width, when):
    counts = answers.confusion(width)
    title = f"{task} {when}"
    drawn = {f"confusion/{task}": confusion_figure(counts, names, title)}
    if answers.images:
        drawn[f"mistakes/{task}"] = mistakes_figure(answers, names, title)
    return drawn


def confusion_figure(
    counts: np.ndarray, names: Sequence[str], title: str
) -> Figure:
    """A heat map of the share of each true class that got each answer.

    Args:
        counts: Confusion matrix, `(classes, classes)`.
        names: Of the classes.
        title: Of the figure.
    """
    rows, columns = rows_and_columns(counts)
    part = counts[np.ix_(rows, columns)]
    asked, given = (
        [class_name(names, k) for k in axis] for axis in (rows, columns)
    )
    cell = 0.4 if len(columns) <= _MOST_COUNTS else 0.12
    figure, axes = drawing.grid_axes(asked, given, (cell, cell), title)
    shares = part / part.sum(axis=1, keepdims=True)
    scale = axes.imshow(
        shares,
        cmap="Blues",
        vmin=0.0,
        vmax=1.0,
        extent=(0, len(columns), len(rows), 0),
        aspect="auto",
    )
    drawing.label_axes(axes, "given class", "true class")
    drawing.add_colour_bar(figure, axes, scale, "share of the true class")
    if len(columns) <= _MOST_COUNTS:
        for (y, x), count in np.ndenumerate(part):
            colour = "white" if shares[y, x] > 0.5 else drawing.INK
            place = (x + 0.5, y + 0.5)
            text = str(count) if count else ""
            axes.text(*place, text, color=colour, fontsize=8, **drawing.CENTRED)
    return figure


def task_confusion(
    believed: Sequence[Sequence[int] | None], task_names: Sequence[str]
) -> Figure:
    """Which task's class is answered to images that come without their task.

    Args:
        believed: `[tasks, tasks]`, counts of test images by their own task and
            by the task answered; None of a task whose images nobody has.
        task_names: By task.
    """
    unknown = [np.nan] * len(task_names)
    counts = np.array([row or unknown for row in believed], float)
    shares = 100.0 * counts / counts.sum(axis=1, keepdims=True)
    return figures.heat_map(
        shares,
        task_names,
        task_names,
        "Task of the answer, by the task of the image",
        "% of the task's test images",
        digits=0,
        scale=(0.0, 100.0),
    )


def rows_and_columns(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classes that have examples, and those that have or were answered."""
    asked, given = counts.sum(axis=1) > 0, counts.sum(axis=0) > 0
    return np.flatnonzero(asked), np.flatnonzero(asked | given)


def mistakes_figure(
    answers: Answers, names: Sequence[str], title: str
) -> Figure:
    """The most confident mistakes and a few right answers, with scores.

    Args:
        answers: `Answers` with images.
        names: Of the classes.
        title: Of the figure.
    """
    shown = [row for row in answers.shown() if row in answers.images]
    lines = -(-len(shown) // _COLUMNS)
    size = (1.6 * _COLUMNS, _CELL_HEIGHT * 1.6 * lines + 0.4)
    figure = Figure(size, dpi=100)
    figure.suptitle(title, fontsize=11, color=drawing.INK, parse_math=False)
    # One frame for all: a frame each takes ten times as long.
    axes = figure.add_axes((0, 0, 1, 1 - 0.4 / size[1]))
    axes.set_axis_off()
    for place, row in enumerate(shown):
        left, top = place % _COLUMNS, _CELL_HEIGHT * (place // _COLUMNS)
        image = tf.io.decode_image(
            answers.images[row], 3, expand_animations=False
        )
        axes.imshow(
            image.numpy(),
            interpolation="nearest",
            extent=(left + 0.1, left + 0.9, top + 0.8, top),
        )
        true, given = (
            drawing.short_name(class_name(names, int(k)), 20)
            for k in (answers.labels[row], answers.given[row])
        )
        score = f"{100 * float(answers.scores[row]):.0f} %"
        right = answers.labels[row] == answers.given[row]
        axes.text(
            left + 0.5,
            top + 0.83,
            f"{true}\n{score}" if right else f"{true}\nas {given}\n{score}",
            color=drawing.PALETTE[2 if right else 1],
            fontsize=7,
            ha="center",
            va="top",
            parse_math=False,
        )
    axes.set(xlim=(0, _COLUMNS), ylim=(_CELL_HEIGHT * lines, 0))
    return figure
