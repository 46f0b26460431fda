"""What a configuration may say: names, parameters and types of values.

`tfcl.configuration` reads the files and gives gin their content.
"""

import ast
import dataclasses
import difflib
import importlib
import inspect
import io
import os
import pathlib
import pkgutil
import re
import tokenize
import types
import typing
from collections import abc
from typing import Any

import gin

from tfcl.configuration.messages import fail, listed, nearest
from tfcl.configuration.moved import current, current_parameter

MACRO = "gin.macro"
_SEQUENCES = (abc.Sequence, abc.Collection, abc.Iterable)
_MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)

Key = tuple[str, str, str]  # (scope, full name of configurable, parameter)


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


class NamesOnly(gin.config_parser.ParserDelegate):
    """Keeps references and macros as names.

    Gin's own delegate looks names up while it parses, so it can neither read
    a text whose modules are not imported nor say what was meant.
    """

    def configurable_reference(self, scoped_configurable_name, evaluate):
        scope, slash, name = scoped_configurable_name.rpartition("/")
        return Reference(f"{scope}{slash}{current(name)}", evaluate)

    def macro(self, macro_name):
        return Macro(macro_name)


def names_in(value: Any) -> abc.Iterator[Reference | Macro]:
    """Yields the references and macros inside a parsed value."""
    if isinstance(value, (Reference, Macro)):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from names_in(item)
    elif isinstance(value, dict):
        for item in value.items():
            yield from names_in(item)


def replace(value: Any, change) -> Any:
    """Returns `value` with `change(name)` for each reference and macro."""
    if isinstance(value, (Reference, Macro)):
        return change(value)
    if isinstance(value, (list, tuple)):
        return type(value)(replace(item, change) for item in value)
    if isinstance(value, dict):
        return dict(replace(list(value.items()), change))
    return value


def for_gin(name: Reference | Macro):
    """Returns gin's own object for a name; `replace` puts it in."""
    delegate = gin.config.ParserDelegate()
    if isinstance(name, Macro):
        return delegate.macro(name.name)
    return delegate.configurable_reference(name.name, name.evaluate)


def resolve(value: Any, macros: abc.Mapping[str, Any], within=()) -> Any:
    """Replaces macros by their values; unknown or circular ones stay."""

    def change(name):
        known = isinstance(name, Macro) and name.name in macros
        if not known or name.name in within:
            return name
        return resolve(macros[name.name], macros, (*within, name.name))

    return replace(value, change)


def statements(text: str, locate: abc.Callable[[int], str]):
    """Yields `(statement, place)`; `locate` turns a line number into a place.

    Raises:
        UserError: If the text is not one of gin's.
    """
    line = 1
    try:
        parser = gin.config_parser.ConfigParser(io.StringIO(text), NamesOnly())
        for statement in parser:
            yield _renamed(statement), locate(statement.location.line_num)
            line = parser.current_token.start[0]
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
    """The statement with the present names of what has moved."""
    if hasattr(statement, "module"):
        return statement._replace(module=current(statement.module))
    if hasattr(statement, "selector"):
        statement = statement._replace(selector=current(statement.selector))
    if getattr(statement, "arg_name", None):
        name = current_parameter(statement.arg_name)
        statement = statement._replace(arg_name=name)
    return statement


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


def configurables(name: str) -> list:
    """Returns gin's entries that a (partial) name may mean."""
    return gin.config._REGISTRY.get_all_matches(name)


def configurable_names() -> list[str]:
    """Returns the shortest unambiguous name of every configurable."""
    registry = gin.config._REGISTRY
    return sorted(
        registry.minimal_selector(selector)
        for selector, _ in registry.items()
        if not selector.startswith("gin.")
    )


def label(key: Key) -> str:
    """Returns a binding's left-hand side as a user would write it."""
    scope, selector, parameter = key
    if selector == MACRO:
        return scope
    prefix = f"{scope}/" if scope else ""
    name = gin.config._REGISTRY.minimal_selector(selector)
    return f"{prefix}{name}.{parameter}"


def _constructor(entry):
    if not inspect.isclass(entry.wrapped):
        return entry.wrapped
    return gin.config._find_class_construction_fn(entry.wrapped)


def parameters(entry) -> tuple[dict[str, inspect.Parameter], bool]:
    """Returns the parameters a file may bind, and whether there is `**`.

    Args:
        entry: One of gin's entries (`configurables`).
    """
    try:
        found = inspect.signature(inspect.unwrap(_constructor(entry)))
    except (TypeError, ValueError):  # Written in C: nothing is known.
        return {}, True
    every = list(found.parameters.values())
    if inspect.isclass(entry.wrapped):
        every = every[1:]  # self
    is_open = any(each.kind is each.VAR_KEYWORD for each in every)
    bindable = {
        each.name: each
        for each in every
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
        and each.name not in (entry.denylist or ())
        and (not entry.allowlist or each.name in entry.allowlist)
    }
    return bindable, is_open


def find_configurable(name, place, shown=None):
    found = configurables(name)
    if len(found) == 1:
        return found[0]
    shown = shown or name
    if found:
        every = ", ".join(sorted(entry.selector for entry in found))
        raise fail(
            place, f"`{shown}` is ambiguous. Write one of these: {every}."
        )
    names = configurable_names()
    advice = nearest(name, names) or nearest(
        name.rpartition(".")[2], names, "Known are"
    )
    raise fail(
        place,
        f"nothing configurable is called `{shown}`. {advice} "
        "If it exists, add the line `import <its module>` above.",
    )


def check_parameter(entry, name, parameter, place):
    known, is_open = parameters(entry)
    denied = parameter in (entry.denylist or ())
    is_open = is_open and not denied and not entry.allowlist
    if parameter in known or is_open:
        return
    problem = f"`{name}` has no parameter `{parameter}`"
    if denied:
        problem = f"`{name}.{parameter}` is given by the program"
    advice = nearest(parameter, known)
    raise fail(place, f"{problem}. {advice} {listed('Its parameters', known)}")


def file_at(path: str) -> str | None:
    """Where a gin file is found, None if nowhere."""
    prefixes = gin.config._LOCATION_PREFIXES
    for prefix in prefixes if not os.path.isabs(path) else [""]:
        if os.path.isfile(os.path.join(prefix, path)):
            return os.path.join(prefix, path)
    return None


def find_file(path, place):
    found = file_at(path)
    if found:
        return found
    prefixes = gin.config._LOCATION_PREFIXES
    folder, name = os.path.split(path)
    others = set()
    for prefix in prefixes:
        # Beside the path asked for, and below the folder of all gin files.
        near = pathlib.Path(prefix, folder).glob("*.gin")
        others |= {os.path.join(folder, other.name) for other in near}
        below = pathlib.Path(prefix, "gin").rglob("*.gin")
        others |= {os.path.relpath(other, prefix or ".") for other in below}
    close = [other for other in sorted(others) if other.endswith(f"/{name}")]
    close = close or difflib.get_close_matches(path, sorted(others), n=1)
    problem = "is a folder" if os.path.isdir(path) else "does not exist"
    advice = "Paths start at the working folder or the repository root."
    if close:
        advice = f"Did you mean {' or '.join(map(repr, close[:3]))}?"
    raise fail(place, f"gin file '{path}' {problem}. {advice}")


def do_import(statement, place):
    try:
        importlib.import_module(statement.module)
        # Gin writes the imports it made itself into the saved text.
        gin.parse_config(statement.format())
    except Exception as error:
        problem = f"`{statement.format()}` failed: {type(error).__name__}"
        advice = _similar_module(statement.module, error)
        raise fail(place, f"{problem}: {error}. {advice}") from error


def _similar_module(module, error):
    missing = getattr(error, "name", None) or ""
    if not isinstance(error, ModuleNotFoundError):
        return ""
    if missing != module and not module.startswith(f"{missing}."):
        return f"Install what provides '{missing}'."
    parent, _, last = missing.rpartition(".")
    siblings = [__name__.partition(".")[0]]
    if parent:
        paths = getattr(importlib.import_module(parent), "__path__", [])
        siblings = [each.name for each in pkgutil.iter_modules(paths)]
    return nearest(last, siblings, "Modules there")


def annotation(entry, parameter: str) -> Any:
    """Returns the type a parameter is annotated with, else `Any`."""
    found = parameters(entry)[0].get(parameter)
    if found is None or found.annotation is found.empty:
        return Any
    function = inspect.unwrap(_constructor(entry))
    # Alone, so that a name known only to type checkers spoils no other one.
    alone = types.SimpleNamespace(__annotations__={parameter: found.annotation})
    try:
        names = getattr(function, "__globals__", {})
        kind = typing.get_type_hints(alone, names)[parameter]
        return kind | None if found.default is None else kind
    except (AttributeError, NameError, SyntaxError, TypeError):
        return Any


def fits(value: Any, kind: Any) -> bool:
    """Whether a literal is of a type; True when the type says nothing."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is None or kind is types.NoneType:
        return value is None
    if kind in (int, float):
        accepted = (int,) if kind is int else (int, float)
        return isinstance(value, accepted) and not isinstance(value, bool)
    if kind in (bool, str):
        return isinstance(value, kind)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is typing.Literal:
        return any(
            type(value) is type(each) and value == each for each in arguments
        )
    if origin is typing.Annotated:
        return fits(value, arguments[0])
    return _container_fits(value, origin or kind, arguments)


def _container_fits(value, kind, arguments):
    if kind is abc.Callable:
        return False  # A literal cannot be called, only a reference can.
    if kind is tuple:
        if not isinstance(value, tuple) or not arguments:
            return isinstance(value, tuple)
        if arguments[-1] is Ellipsis:
            arguments = arguments[:1] * len(value)
        same_length = len(value) == len(arguments)
        return same_length and all(map(fits, value, arguments))
    if kind is list or kind in _SEQUENCES:
        accepted = list if kind is list else (list, tuple)
        return isinstance(value, accepted) and all(
            fits(item, arguments[0]) for item in value if arguments
        )
    if kind in _MAPPINGS:
        return isinstance(value, dict) and all(
            fits(key, arguments[0]) and fits(item, arguments[1])
            for key, item in value.items()
            if arguments
        )
    return True


def describe(kind: Any) -> str:
    """Returns a type as a user would write it."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(each) for each in typing.get_args(kind))
    if origin is None and isinstance(kind, type):
        return "None" if kind is types.NoneType else kind.__name__
    return re.sub(r"typing\.|collections\.abc\.", "", str(kind))


def repaired(value: Any, kind: Any) -> str:
    """Returns "Did you mean ...?" if another spelling fits the type."""
    candidates = [[value], (value,), str(value)]
    if isinstance(value, str):
        try:
            candidates.insert(0, ast.literal_eval(value.strip().capitalize()))
        except (ValueError, SyntaxError):
            pass
    if isinstance(value, (list, tuple)):
        candidates[:0] = [tuple(value), list(value)]
    if isinstance(value, float) and value.is_integer():
        candidates.insert(0, int(value))
    if value in (0, 1):
        candidates.insert(0, bool(value))
    for candidate in candidates:
        if fits(candidate, kind):
            return f"Did you mean {candidate!r}?"
    return ""
