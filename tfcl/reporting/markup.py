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


def words(name: str) -> str:
    """A name with blanks for its underscores."""
    return str(name).replace("_", " ")


def shown(value: object) -> str:
    """Any value as text that is safe between tags and in quotes."""
    return html.escape(printable(value, lines=True), quote=True)


def table(
    header: Sequence[Any], rows: Iterable[Sequence[Any]], numeric: str = ""
) -> str:
    """A table; `numeric[k]` is "1" where column k is set to the right."""
    kinds = [' class="n"' if kind == "1" else "" for kind in numeric]
    kinds += [""] * (len(header) - len(kinds))

    def line(tag, cells):
        cells = zip(kinds, cells, strict=True)
        return "".join(f"<{tag}{k}>{shown(c)}</{tag}>" for k, c in cells)

    body = "".join(f"<tr>{line('td', row)}</tr>\n" for row in rows)
    head = f"<thead><tr>{line('th', header)}</tr></thead>"
    head = head if any(header) else ""
    return f'<div class="wide"><table>{head}<tbody>{body}</tbody></table></div>'


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
