"""The statements of a gin text, one by one, each with its place."""

from __future__ import annotations

import re
import tokenize
import typing
from collections import abc

from tfcl.configuration.gin_internals import parser
from tfcl.configuration.messages import fail
from tfcl.configuration.moved import current, current_parameter

if typing.TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def statements(
    text: str, locate: abc.Callable[[int], str]
) -> Iterator[tuple[Any, str]]:
    """Yields `(statement, place)` with the present names of what has moved.

    Args:
        text: Of a gin file.
        locate: Turns a line number into a place.

    Raises:
        UserError: If the text is not one of gin's.
    """
    line = 1
    try:
        following = parser(text)
        for statement in following:
            yield _renamed(statement), locate(statement.location.line_num)
            line = following.current_token.start[0]
    except tokenize.TokenError as error:
        # It tells the end of the file, so go back to where it began.
        lines = text.splitlines()
        while line < len(lines) and lines[line - 1].strip()[:1] in ("", "#"):
            line += 1
        problem = "a bracket or quote of this statement is not closed."
        raise fail(locate(line), problem) from error
    except SyntaxError as error:
        raise fail(locate(error.lineno or line), _syntax(error)) from error


def _renamed(statement):
    changes = {
        "module": current,
        "selector": current,
        "arg_name": current_parameter,
    }
    fields = [field for field in changes if field in statement._fields]
    return statement._replace(
        **{field: changes[field](getattr(statement, field)) for field in fields}
    )


def _syntax(error):
    source = (error.text or "").strip()
    token = re.search(r"Failed to parse token '(.*)'", error.msg, re.DOTALL)
    if token:
        word = token[1]
        advice = f'Put quotes around a text: "{word}".'
        if word.lower() in ("true", "false", "none"):
            advice = f"Did you mean {word.capitalize()}?"
        problem = f"`{word}` is not a value."
    else:
        problem = error.msg.rstrip(".") + "."
        advice = "Write one `Name.parameter = value` per line."
    return f"cannot read `{source}`: {problem} {advice}"
