"""Pieces of HTML that the sections of a report are made of."""

from __future__ import annotations

import base64
import html
import re
import typing

from tfcl.errors import printable
from tfcl.reporting import drawing

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from matplotlib.figure import Figure


# CSS pixels of a letter in a table, and of what is around the text of a cell.
_LETTER, _PADDING = 7.4, 19
_WORD = re.compile(r"[^\s-]+-?")
# Part of its width down to which the letters of a figure can be read.
_READABLE = 0.75
_TELEPHONE = 310  # CSS pixels that a figure or a table has on a narrow screen.
# Characters of a word of a command that is kept on one line.
_SHORT_WORD = 36


def words(name: str) -> str:
    """A name with blanks for its underscores."""
    return str(name).replace("_", " ")


def shown(value: object) -> str:
    """Any value as text that is safe between tags and in quotes."""
    return html.escape(printable(value, lines=True), quote=True)


def table(
    header: Sequence[Any], rows: Iterable[Sequence[Any]], numeric: str = ""
) -> str:
    """A table; `numeric[k]` is "1" where column k is set to the right.

    Where it is wider than the page it scrolls, and says so on narrow screens.
    """
    rows = list(rows)
    kinds = [' class="n"' if kind == "1" else "" for kind in numeric]
    kinds += [""] * (len(header) - len(kinds))

    def line(tag, cells):
        cells = zip(kinds, cells, strict=True)
        return "".join(f"<{tag}{k}>{shown(c)}</{tag}>" for k, c in cells)

    body = "".join(f"<tr>{line('td', row)}</tr>\n" for row in rows)
    head = f"<thead><tr>{line('th', header)}</tr></thead>"
    head = head if any(header) else ""
    hint = ""
    if _least_width(header, rows, kinds) > _TELEPHONE:
        hint = '<p class="soft hint">The table scrolls sideways.</p>'
    inner = f"<table>{head}<tbody>{body}</tbody></table>"
    return f'{hint}<div class="wide">{inner}</div>'


def details(title: str, content: str) -> str:
    """What is folded until somebody opens it; `content` is HTML."""
    summary = f"<summary>{shown(title)}</summary>"
    return f"<details>{summary}{content}</details>\n"


def _least_width(header, rows, kinds):
    """CSS pixels of a table whose lines break wherever they may."""
    width = 0.0
    for number, kind in enumerate(kinds):
        cells = [str(row[number]) for row in rows]
        # Numbers stay on one line.
        words = cells if kind else [w for c in cells for w in _WORD.findall(c)]
        words += _WORD.findall(str(header[number]))
        width += _PADDING + _LETTER * max(map(len, words), default=0)
    return width


def table_of_differing(
    header: Sequence[str],
    rows: Sequence[Sequence[Any]],
    texts: Sequence[str],
    always: Sequence[str],
) -> str:
    """A table of tasks: what is the same for all of them is a line above.

    Args:
        header: Titles of the columns.
        rows: A task each.
        texts: Titles of columns that are no numbers.
        always: Titles of columns that stay, whatever is in them.
    """
    columns, same = dict(zip(header, zip(*rows))), []
    for name in header if len(rows) > 1 else ():
        if name not in always and len(set(columns[name])) == 1:
            same.append(f"{name} {columns.pop(name)[0]}")
    numeric = "".join(str(int(name not in texts)) for name in columns)
    found = table(list(columns), list(zip(*columns.values())), numeric)
    if not same:
        return found
    return f"<p>The same for all tasks: {shown('; '.join(same))}.</p>{found}"


def images(
    drawn: Mapping[str, Figure], captions: Mapping[str, str] | None = None
) -> str:
    """Figures by name, as images inside the page.

    On a narrow screen a wide one scrolls: its letters are to be read.

    Args:
        drawn: `{name: Figure}`.
        captions: `{name: what to say below}`, of some of them.
    """
    text, below = "", captions or {}
    for name, figure in drawn.items():
        data = base64.b64encode(drawing.png_bytes(figure)).decode("ascii")
        width = round(figure.get_figwidth() * 96)
        least = round(_READABLE * width)
        if least > _TELEPHONE:
            text += '<p class="soft hint">The figure scrolls sideways.</p>'
        text += (
            f'<figure><img alt="{shown(words(name))}" width="{width}" '
            f'style="min-width:{least}px" '
            f'src="data:image/png;base64,{data}"></figure>\n'
        )
        if name in below:
            text += f'<p class="soft">{shown(below[name])}</p>\n'
    return text


def command(line: str) -> str:
    """A command as it can be pasted: lines break between its words."""
    parts = (
        f"<span>{shown(word)}</span>"
        if len(word) <= _SHORT_WORD
        else shown(word)
        for word in line.split(" ")
    )
    return f'<pre class="command">{" ".join(parts)}</pre>'
