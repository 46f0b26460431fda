"""Exit codes of the ways in which a command ends, and names in messages."""

import os
import pathlib

import pytest

from tfcl import errors


@pytest.mark.parametrize(
    "kind, code",
    [
        (errors.UserError, 2),
        (errors.RunError, 1),
        (errors.Interrupted, os.EX_TEMPFAIL),
    ],
)
def test_each_has_its_code_and_is_one_of_them(kind, code):
    assert kind("why").exit_code == code
    with pytest.raises(errors.TfclError, match="why"):
        raise kind("why")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "magpie",
        "Pica pica (L.)",
        "Élster",
        "喜鹊",
        "🐦‍⬛",
        "<b>&$x_1$</b>",
        "a\\b",
    ],
)
def test_what_can_be_seen_stays(name):
    assert errors.printable(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\nb\tc\x00\x7f", r"a\nb\tc\x00\x7f"),
        ("a\x9bb", r"a\x9bb"),
        ("a\u202eb\u2066", r"a\u202eb\u2066"),
        ("a\u2028b", r"a\u2028b"),
        ("caf\udce9", r"caf\xe9"),
        ("\ud800", r"\ud800"),
        (pathlib.PurePath("a/\udcff"), r"a/\xff"),
        (3, "3"),
    ],
)
def test_what_cannot_be_seen_is_written_out(name, shown):
    assert errors.printable(name) == shown
    shown.encode()


def test_texts_of_several_lines_keep_them():
    assert errors.printable("a\n\tb\x1b", lines=True) == "a\n    b\\x1b"
