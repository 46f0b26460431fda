"""What the last `load` was asked for: the bindings that won."""

import dataclasses
import pathlib
from typing import Any

from tfcl.configuration.gin_internals import short_name
from tfcl.configuration.values import Macro

Key = tuple[str, str, str]  # (scope, full name of configurable, parameter)
MACRO = "gin.macro"  # Full name of the configurable of `NAME = value`.


@dataclasses.dataclass(frozen=True)
class Part:
    """A file below `gin/` that runs are put together from.

    Args:
        kind: Its folder ("streams"); "base" of `gin/base.gin`.
        path: From the root of the repository on: "gin/streams/digits_5.gin".
    """

    kind: str
    path: str

    @property
    def name(self) -> str:
        return pathlib.PurePath(self.path).stem


@dataclasses.dataclass(frozen=True)
class Binding:
    """A line of a gin file, or a binding of the command line.

    Attributes:
        key: A macro `NAME` has `("NAME", MACRO, "value")`.
        value: As parsed, with `Reference` and `Macro` inside.
        place: `file:line`.
        within: The parts of a run that the line stands in, outermost first.
    """

    key: Key
    value: Any
    place: str
    within: tuple[Part, ...] = ()

    @property
    def label(self) -> str:
        """The left-hand side as a user would write it."""
        scope, selector, parameter = self.key
        if selector == MACRO:
            return scope
        prefix = f"{scope}/" if scope else ""
        return f"{prefix}{short_name(selector)}.{parameter}"

    @property
    def source(self) -> str:
        """Where the value comes from, if it is a macro: in brackets."""
        macro = isinstance(self.value, Macro) and macros().get(self.value.name)
        return f" ({self.value} is set at {macro.place})" if macro else ""


winning: dict[Key, Binding] = {}


def macros() -> dict[str, Binding]:
    """Returns the bindings of macros by their names."""
    found = winning.values()
    return {each.key[0]: each for each in found if each.key[1] == MACRO}


def bound(key: Key) -> Binding | None:
    """Returns the binding that gin uses for a call in the key's scope."""
    scope, selector, parameter = key
    parts = scope.split("/") if scope else []
    scopes = ["/".join(parts[:n]) for n in range(len(parts), -1, -1)]
    found = (winning.get((each, selector, parameter)) for each in scopes)
    return next(filter(None, found), None)
