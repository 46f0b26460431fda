"""How all figures look: frames, legends, colours, drawn without pyplot.

So they are safe in any thread. Colours can be told apart by colour-blind
readers and in grey print (Okabe & Ito, "Color Universal Design", 2008).
Names are shown as they are: no `$` in a task name is read as mathematics.
"""

from __future__ import annotations

import io
import typing

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from tfcl.errors import printable

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any


PALETTE: tuple[str, ...]
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
PALETTE += ("#56B4E9", "#E69F00", "#000000", "#8A6A00")
INK = "#222222"
CENTRED: dict[str, Any] = {"ha": "center", "va": "center"}
_MAX_TICKS = 60  # names along an axis; of more, every second, third, ...


def png_bytes(figure: Figure, small: bool = True) -> bytes:
    """The figure as a PNG file's bytes; equal figures give equal bytes.

    Args:
        figure: `matplotlib.figure.Figure`.
        small: Take the time, some 0.1 s, to find the shortest file.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    # 256 colours are enough for these figures and a third of the bytes.
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    image = image.quantize(256, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=small)
    return buffer.getvalue()


def as_matrix(
    R: np.ndarray | Sequence[Sequence[float | None]], num_tasks: int
) -> np.ndarray:
    """R as `[learned tasks, num_tasks]` float64, NaN where not evaluated."""
    matrix = np.full((len(R), num_tasks), np.nan)
    for i, row in enumerate(R):
        matrix[i, : len(row)] = np.array(row, float)
    return matrix


def _figure(width: float, height: float) -> Figure:
    return Figure((width, height), dpi=120, layout="constrained")


def panels(width: float, height: float, *titles: str) -> tuple[Figure, Any]:
    """A figure with one framed, gridded drawing per title, side by side."""
    figure = _figure(width, height)
    panels = figure.subplots(1, len(titles), squeeze=False)[0]
    for axes, title in zip(panels, titles, strict=True):
        _title(axes, title)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#999999")
        axes.tick_params(labelsize=8, colors=INK, color="#999999")
        axes.grid(visible=True, color="#E6E6E6", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(
            MaxNLocator(steps=[1, 2, 5, 10], integer=True)
        )
    return figure, panels


def label_axes(axes: Axes, x: str, y: str) -> None:
    """Says what the two axes are."""
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)


def _title(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK, parse_math=False)


def empty_figure(title: str, reason: str) -> Figure:
    """A figure that says why there is nothing to see."""
    figure = _figure(6.0, 1.6)
    axes = figure.subplots()
    _title(axes, title)
    axes.set_axis_off()
    axes.text(0.5, 0.5, reason, color="#777777", **CENTRED)
    return figure


def grid_axes(
    rows: Sequence[Any],
    columns: Sequence[str],
    cell: tuple[float, float],
    title: str,
) -> tuple[Figure, Any]:
    """Axes for a table of cells, first row on top, names on two sides."""
    names = max((len(short_name(name)) for name in rows), default=0)
    shrink = min(1.0, _MAX_TICKS / max(len(rows), len(columns)))
    width = len(columns) * cell[0] * shrink + 0.075 * names + 1.6
    height = len(rows) * cell[1] * shrink + 1.5
    figure = _figure(max(width, 4.5), max(height, 2.0))
    axes = figure.subplots()
    _title(axes, title)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=INK)
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(rows), 0)
    name_ticks(axes.xaxis, np.arange(len(columns)) + 0.5, columns)
    name_ticks(axes.yaxis, np.arange(len(rows)) + 0.5, rows)
    return figure, axes


def name_ticks(axis: Any, places: np.ndarray, names: Sequence[str]) -> None:
    """Writes names at the ticks of an axis; small or turned where needed."""
    every = -(-len(names) // _MAX_TICKS)
    names = [short_name(name) for name in names[::every]]
    many = len(names) > 30
    options: dict[str, Any] = {
        "fontsize": 6 if many else 8,
        "parse_math": False,
    }
    if axis.axis_name == "x" and max(map(len, names)) > 4:
        options |= {"rotation": 90 if many else 45, "rotation_mode": "anchor"}
        options |= {"ha": "right", "va": "center" if many else "top"}
    axis.set_ticks(places[::every], labels=names, **options)


def add_legend(
    axes: Any,
    handles: Iterable[Any],
    labels: Iterable[str],
    inside: bool = False,
    heading: str | None = None,
) -> None:
    """A legend beside a drawing, or inside of it where there is room."""
    where: dict[str, Any] = {"loc": "best"}
    if not inside:
        where = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0)}
    legend = axes.legend(
        list(handles),
        list(labels),
        fontsize=8,
        frameon=inside,
        edgecolor="white",
        framealpha=0.8,
        title=heading,
        title_fontsize=8,
        alignment="left",
        **where,
    )
    for text in legend.get_texts():
        text.set(color=INK, parse_math=False)


def add_colour_bar(figure: Figure, axes: Axes, scale: Any, label: str) -> None:
    """A scale of colours beside a drawing, with what it measures."""
    bar = figure.colorbar(scale, ax=axes, fraction=0.05, pad=0.02, aspect=28)
    bar.set_label(label, color=INK, fontsize=9, parse_math=False)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, colors=INK, length=0)


def short_name(name: str, limit: int = 24) -> str:
    """The name on one line, cut in its middle if it is long."""
    name = printable(" ".join(str(name).split()))
    if len(name) <= limit:
        return name
    return f"{name[: limit // 2]}…{name[-(limit // 2 - 1) :]}"
