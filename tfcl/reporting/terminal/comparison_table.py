"""A comparison of runs for a terminal of 80 columns, or a pipe."""

from __future__ import annotations

import textwrap
import typing

from rich import box
from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

from tfcl.errors import printable
from tfcl.reporting import comparison

if typing.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from tfcl.reporting.comparison import Row


_MAX_NAME = 24  # Columns of a method's name.
_GAP = 2


def shown(rows: Sequence[Row], width: int) -> Group:
    """The rows by their numbers, and what each of them is.

    First a line or two per row: its method, runs, and what sets it apart; then
    the numbers, mean and ± deviation over seeds, in as many tables as the
    width takes.

    Args:
        rows: Of `comparison.rows_of`.
        width: Columns of the console.
    """
    columns = comparison.columns_of(rows)
    parts: list[RenderableType] = [
        Text(printable(", ".join(columns.common)), "bold"),
        Text(),
    ]
    for number, row in enumerate(rows, 1):
        # Lines of their own, which no console breaks: folders can be copied.
        for line in _legend(number, row, columns.texts, width):
            parts.append(Text(line, no_wrap=True, overflow="ignore"))
    names = [printable(row.first["method"]) for row in rows]
    for part in _parts(columns.numbers, names, width):
        parts += [Text(), _table(names, part)]
    return Group(*parts)


def _legend(number, row, texts, width):
    """The lines that say what a row is."""
    indent = " " * (len(str(number)) + _GAP)
    count = len(row.runs)
    runs = ", ".join(run.folder for run in row.runs)
    head = f"{row.first['method']}: {f'{count} runs: ' if count > 1 else ''}"
    facts = [*comparison.facts_of(row), row.settings]
    facts += [
        f"{name} {values[number - 1]}"
        for name, values in texts.items()
        if name in ("stream", "tasks")
    ]
    lines = []
    for text in (head + runs, ", ".join(filter(None, facts))):
        lines += textwrap.wrap(
            printable(text),
            width,
            initial_indent=indent,
            subsequent_indent=f"{indent}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    lines[0] = f"{number}{lines[0][len(str(number)) :]}"
    return lines


def _parts(
    numbers: Mapping[str, list[str]], names: Sequence[str], width: int
) -> Iterator[dict[str, list[str]]]:
    """The columns of one table after another, each of which fits."""
    first = len(str(len(names))) + min(max(map(cell_len, names)), _MAX_NAME)
    room = width - first - 2 * _GAP
    part: dict[str, list[str]] = {}
    used = 0
    for heading, cells in numbers.items():
        needed = max(map(cell_len, (heading, *cells))) + _GAP
        if part and used + needed > room:
            yield part
            part, used = {}, 0
        part[heading] = cells
        used += needed
    yield part


def _table(names, numbers):
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, _GAP - 1, 0, 0),  # And the box's own blank.
        show_edge=False,
        pad_edge=False,
    )
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("method", max_width=_MAX_NAME, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    for number, (name, *cells) in enumerate(zip(names, *numbers.values()), 1):
        # Text, not str: a name such as "[red]" is no markup.
        table.add_row(*map(Text, (str(number), name, *cells)))
    return table
