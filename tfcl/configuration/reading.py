"""Strict configuration: every mistake is one line with its place.

Files are read by gin's own parser, statement by statement, because gin by
itself reports a mistake over several lines, names no alternative, and lets
mistyped values and bindings that nothing reads pass.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import gin
from absl import logging

from tfcl.arguments import describe, fits
from tfcl.configuration import checks, former_names, gin_internals, parts
from tfcl.configuration.binding import MACRO, Binding, bound, macros, winning
from tfcl.configuration.messages import fail, how_to_set, nearest, repaired
from tfcl.configuration.statements import statements
from tfcl.configuration.values import Macro, names_in, replace, resolve
from tfcl.errors import UserError

_BESIDE_FILES = "--gin_bindings"


def load(
    gin_files: Sequence[str],
    gin_bindings: Sequence[str],
    tried: Sequence[tuple[str, str]] = (),
) -> None:
    """Replaces gin's configuration by that of files, then bindings.

    A later line wins. Relative paths start at the working folder or else where
    the gin files of tfcl are (the repository, or the installed package); those
    of `include` first of all at the folder of their file. The configuration
    is locked afterwards, so modules with configurables must be imported before
    or by a file.

    Args:
        gin_files: Paths of gin files.
        gin_bindings: Texts such as `"LASEM.learning_rate = 0.01"`.
        tried: More of them, `[(place, text), ...]`.

    Raises:
        UserError: If anything in them is wrong: one line that starts with the
            place. Gin's configuration is empty then.
    """
    gin.clear_config()
    winning.clear()
    root = str(parts.ROOT)
    if root not in gin_internals.search_path():
        gin.add_config_file_search_path(root)
    reader = _Reader()
    try:
        for k, path in enumerate(gin_files, start=1):
            reader.read_file(path, f"--gin_file #{k}")
        numbered = enumerate(gin_bindings, start=1)
        texts = [(f"{_BESIDE_FILES} #{k}", text) for k, text in numbered]
        for place, text in [*texts, *tried]:
            reader.read_text(text, lambda line, place=place: place)
        held = parts.standing(reader.bindings)
        winning.update({each.key: each for each in held})
        _check_values(reader.bindings)
        for binding in winning.values():
            _bind(binding)
        try:
            gin.finalize()
        except Exception as error:
            raise fail("configuration", error) from error
    except Exception:
        gin.clear_config()
        winning.clear()
        raise


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Begins with no configuration, and ends with the former one.

    For programs that may use gin themselves.
    """
    held = dict(winning)
    winning.clear()
    try:
        with gin_internals.set_aside():
            yield
    finally:
        winning.clear()
        winning.update(held)


def build(name: str) -> Any:
    """What the function of a parameter would get, None if it is not bound.

    Args:
        name: Such as `Experiment.method`; if bound to `@X()`, X is called.
    """
    try:
        value = gin.query_parameter(name)
    except ValueError:
        return None
    return gin_internals.called(value)


def check_all_used(files: bool = True) -> None:
    """Refuses bindings that had no effect on anything built so far.

    Those of the files that runs are put together from (`tfcl.configuration.
    parts`) may: they are what a stream offers and a method does not take.
    Call it after everything is built and before the first step.

    Args:
        files: False looks at the bindings that came beside the files alone.

    Raises:
        UserError: One line with the place of each, and why.
    """
    # By identity: a binding's value may be a list, which has no hash.
    used_ones = {
        id(bound((scope, selector, parameter)))
        for (scope, selector), values in gin_internals.calls().items()
        for parameter in values
    }
    unused = [
        f"{each.place}: `{each.label}` has no effect: {_why_unused(each)}"
        for each in winning.values()
        if id(each) not in used_ones and not each.within
        if files or each.place.startswith(_BESIDE_FILES)
    ]
    if unused:
        raise UserError(f"{'; '.join(unused)}. Remove what is not needed.")


def _why_unused(binding: Binding) -> str:
    scope, selector, parameter = binding.key
    if selector == MACRO:
        return "nothing that was used refers to it"
    calls = [
        values
        for (called_in, name), values in gin_internals.calls().items()
        if name == selector
        and (not scope or f"{called_in}/".startswith(f"{scope}/"))
    ]
    if not calls:
        return f"`{binding.label.rpartition('.')[0]}` was never called"
    if any(parameter in values for values in calls):
        return "a binding with a scope takes its place in every call"
    return "the program gives its own value"


class _Reader:
    """Reads files and texts, and checks the names in every statement.

    Attributes:
        bindings: Every binding in the order read, the overridden ones too.
    """

    def __init__(self):
        self.bindings: list[Binding] = []
        self._has_base = False

    def read_file(self, path, place, opened=(), within=()):
        """Reads a file inside those that are open, and the parts among them."""
        beside = opened[-1] if opened else ""
        now = former_names.files_and_lines(path)
        if now and not checks.file_at(path, beside):
            logging.info("%s is now %s", path, former_names.command(path))
            for file in now[0]:
                self.read_file(file, place, opened, within)
            self.read_text("\n".join(now[1]), lambda _: path, opened, within)
            return
        found = checks.find_file(path, place, beside)
        if os.path.realpath(found) in map(os.path.realpath, opened):
            raise fail(place, f"'{path}' includes itself.")
        part = parts.part_of(found)
        if part and part.kind == parts.BASE:
            # Every method includes it: what a user has said since holds.
            if self._has_base:
                return
            self._has_base = True
        try:
            # Not the locale's encoding, which may differ between machines.
            text = pathlib.Path(found).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise fail(place, f"cannot read '{path}': {error}.") from error
        inside = ((*opened, found), (*within, part) if part else within)
        self.read_text(text, lambda line: f"{found}:{line}", *inside)

    def read_text(self, text, locate, opened=(), within=()):
        for statement, place in statements(text, locate):
            if isinstance(statement, gin_internals.BindingStatement):
                self._note(statement, place, within)
            elif isinstance(statement, gin_internals.BlockDeclaration):
                checks.find_configurable(statement.selector, place)
            elif isinstance(statement, gin_internals.ImportStatement):
                checks.do_import(statement, place)
            else:
                self.read_file(statement.filename, place, opened, within)

    def _note(self, statement, place, within):
        scope, name, parameter, _, _ = statement
        if parameter:
            entry = checks.find_configurable(name, place)
            checks.check_parameter(entry, name, parameter, place)
            key = (scope, entry.selector, parameter)
        else:
            macro = f"{scope}/{name}" if scope else name
            key = (macro, MACRO, "value")
        for other in names_in(statement.value):
            if not isinstance(other, Macro):
                only_name = other.name.rpartition("/")[2]
                checks.find_configurable(only_name, place, shown=repr(other))
        self.bindings.append(Binding(key, statement.value, place, within))


def _bind(binding):
    """Gives gin a binding."""
    try:
        value = replace(binding.value, gin_internals.for_gin)
        gin.bind_parameter(binding.key, value)
        kept = gin_internals.has_text(value)
    except Exception as error:
        raise fail(binding.place, error) from error
    if not kept:  # `inf`: gin would leave it out of the saved text.
        problem = f"{binding.label}={value!r} has no gin text. "
        raise fail(binding.place, problem + "Use another value.")


def _check_macro(macro, binding, known):
    constants, label = gin_internals.constants(macro.name), binding.label
    if constants == ["gin.REQUIRED"]:
        problem = f"`{label}` is required but not set. {how_to_set(label)}"
        raise fail(binding.place, problem)
    if not constants and macro.name not in known:
        advice = nearest(macro.name, known, "Defined are")
        raise fail(
            binding.place,
            f"macro `{macro}` is not defined. {advice} Else define it by a "
            f"line `{macro.name} = value`.",
        )
    # Only a circle keeps a known macro from being replaced.
    rest = names_in(resolve(macro, known))
    if any(each in map(Macro, known) for each in rest):
        raise fail(binding.place, f"macro `{macro}` refers to itself.")


def _check_values(every: Sequence[Binding]):
    """Checks macros where they win, types and ranges everywhere."""
    known = {name: each.value for name, each in macros().items()}
    for binding in winning.values():
        for each in names_in(binding.value):
            if isinstance(each, Macro):
                _check_macro(each, binding, known)
    for binding in every:
        _, selector, parameter = binding.key
        value = resolve(binding.value, known)
        if selector == MACRO or names_in(value):
            continue
        (entry,) = gin_internals.configurables(selector)
        kind = checks.annotation(entry, parameter)
        if not fits(value, kind):
            raise fail(
                binding.place,
                f"`{binding.label}` must be {describe(kind)}. "
                f"Received: {parameter}={value!r}{binding.source}. "
                f"{repaired(value, kind)}",
            )
