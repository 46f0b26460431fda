"""All that tfcl uses of gin beyond what gin exports.

Private names may change with any version (requirements.txt pins one), so that
tests/layering_test.py lets no other file know them.
"""

import contextlib
import inspect
import io
from collections import abc
from typing import Any, TypeAlias

from gin import config, config_parser

from tfcl.configuration.moved import current
from tfcl.configuration.values import Macro, Reference

# It has name, wrapped, selector, allowlist, denylist, ...
Entry: TypeAlias = config.Configurable
BindingStatement = config_parser.BindingStatement
BlockDeclaration = config_parser.BlockDeclaration
ImportStatement = config_parser.ImportStatement


class _NamesOnly(config_parser.ParserDelegate):
    """Keeps references and macros as names.

    Gin's own delegate looks names up while it parses, so it can neither read
    a text whose modules are not imported nor say what was meant.
    """

    def configurable_reference(self, scoped_configurable_name, evaluate):
        scope, slash, name = scoped_configurable_name.rpartition("/")
        return Reference(f"{scope}{slash}{current(name)}", evaluate)

    def macro(self, macro_name):
        return Macro(macro_name)


def parser(text: str) -> config_parser.ConfigParser:
    """Returns an iterator over the statements of a text.

    Raises:
        SyntaxError, tokenize.TokenError: Here or while it iterates.
    """
    # It shows only a line with an end.
    return config_parser.ConfigParser(io.StringIO(f"{text}\n"), _NamesOnly())


def for_gin(name: Reference | Macro) -> Any:
    """Returns gin's own object for a name; `values.replace` puts it in."""
    delegate = config.ParserDelegate()
    if isinstance(name, Macro):
        return delegate.macro(name.name)
    return delegate.configurable_reference(name.name, name.evaluate)


def called(value: Any) -> Any:
    """Returns what a parameter bound to a value would get: `@X()` is called,
    `@X` is X."""
    if not isinstance(value, config.ConfigurableReference):
        return value
    function = value.scoped_configurable_fn
    return function() if value.evaluate else function


def configurables(name: str) -> list[Entry]:
    """Returns the entries that a (partial) name may mean."""
    return config._REGISTRY.get_all_matches(name)


def wrapped(name: str) -> Any:
    """Returns the class or function that a name of gin stands for.

    None if there is none, or several.
    """
    found = configurables(name)
    return found[0].wrapped if len(found) == 1 else None


def configurable_names() -> list[str]:
    """Returns the shortest unambiguous name of every configurable."""
    names = (selector for selector, _ in config._REGISTRY.items())
    return sorted(short_name(n) for n in names if not n.startswith("gin."))


def classes() -> list[tuple[str, type]]:
    """Returns the full name of every configurable class, and the class."""
    found = ((name, each.wrapped) for name, each in config._REGISTRY.items())
    return sorted((name, kind) for name, kind in found if inspect.isclass(kind))


def short_name(selector: str) -> str:
    """Returns the shortest unambiguous name of a configurable."""
    return config._REGISTRY.minimal_selector(selector)


def name_of(made: Any) -> str | None:
    """Returns the short name of a configurable, None of what is none."""
    known = config._INVERSE_REGISTRY
    found = known.get(inspect.unwrap(made, stop=lambda each: each in known))
    return None if found is None else short_name(found.selector)


def constructor(entry: Entry) -> abc.Callable:
    """Returns the undecorated function of whose parameters a file speaks.

    That of a class is the nearest `__init__` or `__new__`.
    """
    found = entry.wrapped
    if inspect.isclass(found):
        found = config._find_class_construction_fn(found)
    return inspect.unwrap(found)


def constants(name: str) -> list[str]:
    """Returns the full names of the constants that `%name` may mean."""
    return config._CONSTANTS.matching_selectors(name)


def has_text(value: Any) -> bool:
    """Whether gin can write a value into a saved configuration."""
    return config._is_literally_representable(value)


def search_path() -> list[str]:
    """Returns the folders in which gin files are looked for, "" among them."""
    return config._LOCATION_PREFIXES


def calls() -> dict[tuple[str, str], dict[str, Any]]:
    """Returns `{(scope, selector): {parameter: value}}` of all calls so far."""
    return config._OPERATIVE_CONFIG


@contextlib.contextmanager
def set_aside() -> abc.Iterator[None]:
    """Begins with an empty configuration, and ends with the former one.

    Constants and what is registered stay.
    """
    tables: list[Any] = [
        *(config._CONFIG, config._SINGLETONS, config._IMPORTS),
        config._OPERATIVE_CONFIG,
    ]
    kept = [table.copy() for table in tables]
    locked = config.config_is_locked()
    config.clear_config()
    try:
        yield
    finally:
        config.clear_config()
        for table, content in zip(tables, kept):
            table.update(content)
        config._set_config_is_locked(locked)
