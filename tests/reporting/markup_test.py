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


def test_a_table_says_that_it_scrolls_if_a_telephone_is_too_narrow():
    wide = markup.table("abcdefghijkl", [range(12)], "1")
    assert "The table scrolls sideways." in wide
    assert '<th class="n">a</th><th>b</th>' in wide
    assert "scrolls" not in markup.table("abcde", [range(5)])
    # Texts break between their words, numbers and long words do not.
    sentence = "a few words " * 20
    assert "scrolls" not in markup.table(["a", "b"], [[sentence, sentence]])
    assert "scrolls" in markup.table(["a"], [[sentence]], "1")
    assert "scrolls" in markup.table(["a"], [["tfcl." + "x" * 50]])


def test_what_is_the_same_for_all_tasks_is_a_line():
    rows = [("one", 2, 7), ("two", 2, 9)]
    page = markup.table_of_differing(["task", "k", "n"], rows, ["n"], ["task"])
    assert "<p>The same for all tasks: k 2.</p>" in page
    assert '<th class="n">task</th><th>n</th>' in page
    alone = markup.table_of_differing(["task", "k"], [("one", 2)], [], [])
    assert "The same" not in alone and ">k</th>" in alone


def test_letters_of_a_figure_can_be_read_on_a_telephone():
    drawn = {"wide": Figure((9, 3)), "small": Figure((3, 3))}
    wide, small = markup.images(drawn, {"wide": "what <it> is"}).split("small")
    assert "The figure scrolls sideways." in wide
    assert 'width="864" style="min-width:648px"' in wide
    assert "what &lt;it&gt; is" in wide
    assert "scrolls" not in small


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
