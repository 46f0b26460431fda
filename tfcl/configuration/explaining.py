"""Errors of what gin calls, in words for those who wrote the gin file."""

import re

from tfcl.configuration.binding import bound
from tfcl.configuration.checks import parameters
from tfcl.configuration.gin_internals import configurables
from tfcl.configuration.messages import fail, how_to_set, one_line
from tfcl.errors import RunError, TfclError, UserError

# What gin appends to the message of an error in something it called.
_ADDED_BY_GIN = re.compile(
    r"\n  (?:In call to configurable|No values supplied by Gin)"
)
_CALL = re.compile(
    r"\n  In call to configurable '(.+?)' \((.*)\)(?: in scope '(.*)')?"
)
_REQUIRED = re.compile(r"^Required bindings for `(.+)` not provided .*: (.*)")
_MISSING = re.compile(r"missing \d+ required [\w-]+ arguments?:")
_WORD = re.compile(r"(?<=[`'])\w+(?=[`'])|\b\w+(?==)")


def explain(error: Exception) -> TfclError:
    """Turns an error of something that gin called into one for the user.

    Finds the argument by the names in the message, preferring the innermost
    call, and puts the place of its binding in front. Raise the result `from`
    the error.

    Args:
        error: Such as a constructor's `ValueError` with gin's additions. A
            `RunError` stays one: the input is not to blame.
    """
    text = str(error)
    message = one_line(_ADDED_BY_GIN.split(text)[0])
    if isinstance(error, TfclError):
        return (RunError if isinstance(error, RunError) else UserError)(message)
    required = _REQUIRED.search(message)
    if required:
        return _without_value(required[1], re.findall(r"'(\w+)'", required[2]))
    unbound, calls = "", _CALL.findall(text)
    for name, shown, scope in calls:
        entries = configurables(name)
        exact = [each for each in entries if repr(each.wrapped) == shown]
        for entry in exact or entries[:1]:
            known = parameters(entry)[0]
            said = [word for word in _WORD.findall(message) if word in known]
            if said and _MISSING.search(message):
                return _without_value(name, said)
            for parameter in said:
                binding = bound((scope, entry.selector, parameter))
                if binding:
                    start = f"`{binding.label}`{binding.source}: "
                    return fail(binding.place, start + message)
            if said and not unbound:
                unbound = f"`{name}.{said[0]}` (not set in gin): "
    if calls and not unbound:
        unbound = f"`{calls[0][0]}`: "
    return UserError(unbound + message)


def _without_value(name, missing):
    labels = [f"{name}.{parameter}" for parameter in missing]
    given = "`, `".join(labels)
    return UserError(f"`{given}` has no value. {how_to_set(labels[0])}")
