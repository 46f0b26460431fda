"""What a user reads when a configuration is wrong: one line each."""

import ast
import codecs
import contextlib
import difflib
import os
import sys
from collections import abc
from collections.abc import Iterator
from typing import Any

from tfcl.arguments import fits
from tfcl.errors import UserError

NO_READER = 141  # Exit code: what shells say of SIGPIPE.
_MAX_LISTED = 12
# How to write what a terminal of an older encoding has no character for.
_PLAIN = {
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{PLUS-MINUS SIGN}": "+-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{HORIZONTAL ELLIPSIS}": "...",
}


def one_line(text: Any) -> str:
    """The text with every run of white space as one blank."""
    return " ".join(str(text).split())


def write_what_the_terminal_can() -> None:
    """Lets standard output and error take any text, whatever their encoding.

    Signs get a plain form, any other character that the encoding lacks is
    written as Python would (`\\u4e2d`), so that no name ends a command.
    """
    codecs.register_error("tfcl.plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # Else none of the system's.
            stream.reconfigure(errors="tfcl.plain")


@contextlib.contextmanager
def while_someone_reads() -> Iterator[None]:
    """Ends the program without a word when its output has no reader any more.

    As `tfcl build --list | head` does, when head has seen enough. What goes
    to standard error, such as the log of a run, is not concerned.
    """
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        # What is left would be written, in vain, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(NO_READER)


def _plain(error):
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_written(character) for character in lacking), error.end


def _written(character):
    plain = _PLAIN.get(character)
    return plain or character.encode("ascii", "backslashreplace").decode()


def fail(place: str, text: Any) -> UserError:
    """The error to raise for a mistake at a place; one line."""
    return UserError(one_line(f"{place}: {text}"))


def how_to_set(label: str) -> str:
    """How a user gives a value to `Name.parameter`."""
    return f"Set it in a gin file or by --gin_bindings='{label}=...'."


def nearest(name: str, names: abc.Iterable[str], title: str = "") -> str:
    """Returns "Did you mean 'x'?" (capitals aside), else names with a title."""
    by_lower = {other.lower(): other for other in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    if close:
        return f"Did you mean {by_lower[close[0]]!r}?"
    return listed(title, names) if title else ""


def listed(title: str, names: abc.Iterable[str]) -> str:
    """Returns the names after `title`, or nothing if they are too many."""
    names = sorted(names)
    if not 0 < len(names) <= _MAX_LISTED:
        return ""
    return f"{title}: {', '.join(names)}."


def repaired(value: Any, kind: Any) -> str:
    """Returns "Did you mean ...?" if another spelling fits the type."""
    candidates: list[Any] = [[value], (value,), str(value)]
    if isinstance(value, str):
        with contextlib.suppress(ValueError, SyntaxError):
            # `true` and `none`, too.
            spelled = ast.literal_eval(value.strip().capitalize())
            candidates.insert(0, spelled)
    if isinstance(value, (list, tuple)):
        candidates[:0] = [tuple(value), list(value)]
    if isinstance(value, float) and value.is_integer():
        candidates.insert(0, int(value))
    if value in (0, 1):
        candidates.insert(0, bool(value))
    found = (each for each in candidates if fits(each, kind))
    return next((f"Did you mean {each!r}?" for each in found), "")
