"""Values as gin files write them: literals with names of other things."""

from __future__ import annotations

import dataclasses
import typing
from collections import abc
from typing import Any

if typing.TYPE_CHECKING:
    from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Reference:
    """`@scope/Name` or, evaluated, `@scope/Name()`."""

    name: str
    evaluate: bool

    def __repr__(self):
        return f"@{self.name}{'()' if self.evaluate else ''}"


@dataclasses.dataclass(frozen=True)
class Macro:
    """`%NAME`."""

    name: str

    def __repr__(self):
        return f"%{self.name}"


def replace(value: Any, change: abc.Callable[[Reference | Macro], Any]) -> Any:
    """Returns `value` with `change(name)` for each reference and macro."""
    if isinstance(value, (Reference, Macro)):
        return change(value)
    if isinstance(value, (list, tuple)):
        return type(value)(replace(item, change) for item in value)
    if isinstance(value, dict):
        return dict(replace(list(value.items()), change))
    return value


def names_in(value: Any) -> list[Reference | Macro]:
    """Returns the references and macros inside a value."""
    found: list[Reference | Macro] = []

    def note(name):
        found.append(name)
        return name

    replace(value, note)
    return found


def resolve(
    value: Any, macros: abc.Mapping[str, Any], within: Sequence[str] = ()
) -> Any:
    """Replaces macros by their values; unknown or circular ones stay."""

    def change(name):
        known = isinstance(name, Macro) and name.name in macros
        if not known or name.name in within:
            return name
        return resolve(macros[name.name], macros, (*within, name.name))

    return replace(value, change)
