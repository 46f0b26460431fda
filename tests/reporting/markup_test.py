"""What a page is put together from: nothing escapes, nothing is added."""

import html
import re

from matplotlib.figure import Figure

from tfcl.reporting import markup


def _seen(page):
    """The text of a page as it is copied."""
    return html.unescape(re.sub(r"<[^>]+>", "", page))


def test_a_command_can_be_pasted():
    line = (
        "python -m tfcl.train --gin_file=gin/lasem_digits.gin "
        "'--gin_bindings=a.b = \"<x> & y\"'  --model_dir=/a/" + "long/" * 20
    )
    page = markup.command(line)
    assert _seen(page) == line
    assert page.startswith('<pre class="command">')
    # Short words stay on one line, a long one may break anywhere.
    assert "<span>--gin_file=gin/lasem_digits.gin</span>" in page
    assert f"<span>--model_dir={'/a/' + 'long/' * 20}" not in page


def test_a_table_says_that_it_scrolls_if_it_has_many_columns():
    wide = markup.table("abcde", [range(5)], "1")
    assert "The table scrolls sideways." in wide
    assert '<th class="n">a</th><th>b</th>' in wide
    narrow = markup.table("abcd", [range(4)])
    assert "scrolls" not in narrow


def test_texts_are_escaped():
    evil = '<b>&"x\x1b'
    for page in (
        markup.shown(evil),
        markup.table([evil], [[evil]]),
        markup.details(evil, ""),
        markup.command(evil),
        markup.images({evil: Figure((1, 1))}),
    ):
        assert "<b>" not in page and "\x1b" not in page
    assert markup.words("a_b") == "a b"
