"""The statements of a gin text, one by one, each with its place."""

import re
import tokenize
from collections import abc

from tfcl.configuration.gin_internals import Parser
from tfcl.configuration.messages import fail
from tfcl.configuration.moved import current, current_parameter
from tfcl.configuration.values import Macro, Reference, replace


def statements(text: str, locate: abc.Callable[[int], str]):
    """Yields `(statement, place)` with the present names of what has moved.

    Args:
        text: Of a gin file.
        locate: Turns a line number into a place.

    Raises:
        UserError: If the text is not one of gin's.
    """
    line = 1
    try:
        parser = Parser(text)
        for statement in parser:
            yield _renamed(statement), locate(statement.location.line_num)
            line = parser.line
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
        "value": lambda value: replace(value, _renamed_reference),
    }
    return statement._replace(
        **{
            field: change(getattr(statement, field))
            for field, change in changes.items()
            if field in statement._fields
        }
    )


def _renamed_reference(name):
    if isinstance(name, Macro):
        return name
    scope, slash, last = name.name.rpartition("/")
    return Reference(f"{scope}{slash}{current(last)}", name.evaluate)


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
