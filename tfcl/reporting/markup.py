"""Pieces of HTML that the sections of a report are made of."""

from __future__ import annotations

import base64
import html
import typing

from tfcl.errors import printable
from tfcl.reporting import drawing

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from matplotlib.figure import Figure


# Tables of more columns scroll on a telephone.
_FEW_COLUMNS = 4
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
    kinds = [' class="n"' if kind == "1" else "" for kind in numeric]
    kinds += [""] * (len(header) - len(kinds))

    def line(tag, cells):
        cells = zip(kinds, cells, strict=True)
        return "".join(f"<{tag}{k}>{shown(c)}</{tag}>" for k, c in cells)

    body = "".join(f"<tr>{line('td', row)}</tr>\n" for row in rows)
    head = f"<thead><tr>{line('th', header)}</tr></thead>"
    head = head if any(header) else ""
    hint = ""
    if len(header) > _FEW_COLUMNS:
        hint = '<p class="soft hint">The table scrolls sideways.</p>'
    inner = f"<table>{head}<tbody>{body}</tbody></table>"
    return f'{hint}<div class="wide">{inner}</div>'


def details(title: str, content: str) -> str:
    """What is folded until somebody opens it; `content` is HTML."""
    summary = f"<summary>{shown(title)}</summary>"
    return f"<details>{summary}{content}</details>\n"


def images(drawn: Mapping[str, Figure]) -> str:
    """Figures by name, as images inside the page."""
    text = ""
    for name, figure in drawn.items():
        data = base64.b64encode(drawing.png_bytes(figure)).decode("ascii")
        width = round(figure.get_figwidth() * 96)
        text += (
            f'<figure><img alt="{shown(words(name))}" width="{width}" '
            f'src="data:image/png;base64,{data}"></figure>\n'
        )
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
