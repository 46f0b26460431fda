"""What a page of HTML is put together from; every text is escaped."""

from __future__ import annotations

import base64
import html
import typing

from tfcl.errors import printable
from tfcl.reporting import drawing

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.figure import Figure


# Tables of more columns scroll on a telephone.
_FEW_COLUMNS = 4
# Characters of a word of a command that is kept on one line.
_SHORT_WORD = 36


def words(name: str) -> str:
    """A name in words."""
    return str(name).replace("_", " ")


def text(value: object) -> str:
    """Any value as text that is safe between tags and in quotes."""
    return html.escape(printable(value, lines=True), quote=True)


def table(
    header: Sequence[str], rows: Iterable[Sequence], numeric: str = ""
) -> str:
    """A table; `numeric[k]` is "1" where column k is set to the right.

    Where it is wider than the page it scrolls, and says so on narrow screens.
    """
    kinds = [' class="n"' if kind == "1" else "" for kind in numeric]
    kinds += [""] * (len(header) - len(kinds))

    def line(tag, cells):
        cells = zip(kinds, cells, strict=True)
        return "".join(f"<{tag}{k}>{text(c)}</{tag}>" for k, c in cells)

    body = "".join(f"<tr>{line('td', row)}</tr>\n" for row in rows)
    head = f"<thead><tr>{line('th', header)}</tr></thead>"
    head = head if any(header) else ""
    hint = ""
    if len(header) > _FEW_COLUMNS:
        hint = '<p class="soft hint">The table scrolls sideways.</p>'
    inner = f"<table>{head}<tbody>{body}</tbody></table>"
    return f'{hint}<div class="wide">{inner}</div>'


def details(title: str, content: str) -> str:
    """HTML that a click unfolds."""
    summary = f"<summary>{text(title)}</summary>"
    return f"<details>{summary}{content}</details>\n"


def figures(drawn: Mapping[str, Figure]) -> str:
    """Figures by name as images inside of the page."""
    page = ""
    for name, figure in drawn.items():
        data = base64.b64encode(drawing.png_bytes(figure)).decode("ascii")
        width = round(figure.get_figwidth() * 96)
        page += (
            f'<figure><img alt="{text(words(name))}" width="{width}" '
            f'src="data:image/png;base64,{data}"></figure>\n'
        )
    return page


def command(line: str) -> str:
    """A command as it can be pasted: lines break between its words."""
    shown = (
        f"<span>{text(word)}</span>" if len(word) <= _SHORT_WORD else text(word)
        for word in line.split(" ")
    )
    return f'<pre class="command">{" ".join(shown)}</pre>'
