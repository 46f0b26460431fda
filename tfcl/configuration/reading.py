"""Strict configuration: every mistake is one line with its place.

Files are read by gin's own parser, statement by statement, because gin by
itself reports a mistake over several lines, names no alternative, and lets
mistyped values and bindings that nothing reads pass.
"""

import dataclasses
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import gin
from absl import logging

from tfcl.configuration import checks, former_names, parts
from tfcl.configuration.checks import Key
from tfcl.configuration.messages import fail, nearest, one_line
from tfcl.errors import TfclError, UserError

_ROOT = str(pathlib.Path(__file__).resolve().parents[2])

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


@dataclasses.dataclass(frozen=True)
class _Binding:
    key: Key
    value: Any  # As parsed, with `Reference` and `Macro` inside.
    place: str
    within: tuple[parts.Part, ...] = ()  # Outermost first.


_asked: dict[Key, _Binding] = {}  # The winning bindings of the last `load`.


def load(
    gin_files: Sequence[str], gin_bindings: Sequence[str], tried=()
) -> None:
    """Replaces gin's configuration by that of files, then bindings.

    A later line wins. Relative paths, also those of `include`, start at the
    working folder or else at the repository root. The configuration is locked
    afterwards, so modules with configurables must be imported before or by a
    file.

    Args:
        gin_files: Paths of gin files.
        gin_bindings: Texts such as `"LASEM.learning_rate = 0.01"`.
        tried: More of them, `[(place, text), ...]`.

    Raises:
        UserError: If anything in them is wrong: one line that starts with the
            place. Gin's configuration is empty then.
    """
    gin.clear_config()
    _asked.clear()
    if _ROOT not in gin.config._LOCATION_PREFIXES:
        gin.add_config_file_search_path(_ROOT)
    reader = _Reader()
    try:
        for k, path in enumerate(gin_files, start=1):
            reader.read_file(path, f"--gin_file #{k}")
        numbered = enumerate(gin_bindings, start=1)
        texts = [(f"--gin_bindings #{k}", text) for k, text in numbered]
        for place, text in [*texts, *tried]:
            reader.read_text(text, lambda line, place=place: place)
        _asked.update({b.key: b for b in parts.standing(reader.bindings)})
        _check_macros()
        _check_types(reader.bindings)
        for binding in _asked.values():
            _bind(binding)
        try:
            gin.finalize()
        except Exception as error:
            raise fail("configuration", error) from error
    except Exception:
        gin.clear_config()
        _asked.clear()
        raise


def explain(error: Exception) -> UserError:
    """Turns an error of something that gin called into one for the user.

    Finds the argument by the names in the message, preferring the innermost
    call, and puts the place of its binding in front. Raise the result `from`
    the error.

    Args:
        error: Such as a constructor's `ValueError` with gin's additions.
    """
    text = str(error)
    message = one_line(_ADDED_BY_GIN.split(text)[0])
    if isinstance(error, TfclError):
        return UserError(message)
    required = _REQUIRED.search(message)
    if required:
        return _without_value(required[1], re.findall(r"'(\w+)'", required[2]))
    unbound, calls = "", _CALL.findall(text)
    for name, shown, scope in calls:
        entries = checks.configurables(name)
        exact = [each for each in entries if repr(each.wrapped) == shown]
        for entry in exact or entries[:1]:
            known = checks.parameters(entry)[0]
            said = [word for word in _WORD.findall(message) if word in known]
            if said and _MISSING.search(message):
                return _without_value(name, said)
            for parameter in said:
                binding = _bound((scope, entry.selector, parameter))
                if binding:
                    start = f"`{checks.label(binding.key)}`{_source(binding)}"
                    return fail(binding.place, f"{start}: {message}")
            if said and not unbound:
                unbound = f"`{name}.{said[0]}` (not set in gin): "
    if calls and not unbound:
        unbound = f"`{calls[0][0]}`: "
    return UserError(unbound + message)


def build(name: str) -> Any:
    """What the function of a parameter would get, None if it is not bound.

    Args:
        name: Such as `Experiment.method`; if bound to `@X()`, X is called.
    """
    try:
        value = gin.query_parameter(name)
    except ValueError:
        return None
    if isinstance(value, gin.config.ConfigurableReference) and value.evaluate:
        return value.scoped_configurable_fn()
    return value


def check_all_used() -> None:
    """Refuses bindings that had no effect on anything built so far.

    Those of the files that runs are put together from (`tfcl.configuration.
    parts`) may: they are what a stream offers and a method does not take.
    Call it after everything is built and before the first step.

    Raises:
        UserError: One line with the place of each, and why.
    """
    # By identity: a binding's value may be a list, which has no hash.
    used_ones = {
        id(_bound((scope, selector, parameter)))
        for (scope, selector), values in gin.config._OPERATIVE_CONFIG.items()
        for parameter in values
    }
    unused = [
        f"{each.place}: `{checks.label(each.key)}` has no effect: "
        f"{_why_unused(each.key)}"
        for each in _asked.values()
        if id(each) not in used_ones and not each.within
    ]
    if unused:
        raise UserError(f"{'; '.join(unused)}. Remove what is not needed.")


def _why_unused(key: Key) -> str:
    scope, selector, parameter = key
    if selector == checks.MACRO:
        return "nothing that was used refers to it"
    calls = [
        values
        for (called_in, name), values in gin.config._OPERATIVE_CONFIG.items()
        if name == selector
        and (not scope or f"{called_in}/".startswith(f"{scope}/"))
    ]
    if not calls:
        return f"`{checks.label(key).rpartition('.')[0]}` was never called"
    if any(parameter in values for values in calls):
        return "a binding with a scope takes its place in every call"
    return "the program gives its own value"


def _without_value(name, parameters):
    labels = [f"{name}.{parameter}" for parameter in parameters]
    return UserError(
        f"`{'`, `'.join(labels)}` has no value. Set it in a gin file or by "
        f"--gin_bindings='{labels[0]}=...'."
    )


def _bound(key: Key) -> _Binding | None:
    """Returns the binding that gin uses for a call in the key's scope."""
    scope, selector, parameter = key
    parts = scope.split("/") if scope else []
    scopes = ["/".join(parts[:n]) for n in range(len(parts), -1, -1)]
    found = (_asked.get((each, selector, parameter)) for each in scopes)
    return next(filter(None, found), None)


def locations() -> dict[Key, str]:
    """Returns the `file:line` of the winning line of every binding.

    Keys are `(scope, full name of the configurable, parameter)`; a macro
    `NAME` is `("NAME", "gin.macro", "value")`.
    """
    return {key: binding.place for key, binding in _asked.items()}


class _Reader:
    """Gives gin the statements of files and texts, each checked before.

    Attributes:
        bindings: Every binding in the order read, the overridden ones too.
    """

    def __init__(self):
        self.bindings: list[_Binding] = []
        self._open = []  # Files being read, outermost first.
        self._parts = []  # The parts among them.
        self._has_base = False

    def read_file(self, path, place):
        now = former_names.files_and_lines(path)
        if now and not checks.file_at(path):
            logging.info("%s is now %s", path, former_names.command(path))
            for file in now[0]:
                self.read_file(file, place)
            self.read_text("\n".join(now[1]), lambda _: path)
            return
        found = checks.find_file(path, place)
        identity = os.path.realpath(found)
        if identity in self._open:
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
        self._open.append(identity)
        self._parts += [part] if part else []
        self.read_text(text, lambda line: f"{found}:{line}")
        self._parts = self._parts[:-1] if part else self._parts
        self._open.pop()

    def read_text(self, text, locate):
        parser = gin.config_parser
        for statement, place in checks.statements(text, locate):
            if isinstance(statement, parser.BindingStatement):
                self._note(statement, place)
            elif isinstance(statement, parser.BlockDeclaration):
                checks.find_configurable(statement.selector, place)
            elif isinstance(statement, parser.ImportStatement):
                checks.do_import(statement, place)
            else:
                self.read_file(statement.filename, place)

    def _note(self, statement, place):
        scope, name, parameter, _, _ = statement
        if parameter:
            entry = checks.find_configurable(name, place)
            checks.check_parameter(entry, name, parameter, place)
            key = (scope, entry.selector, parameter)
        else:
            macro = f"{scope}/{name}" if scope else name
            key = (macro, checks.MACRO, "value")
        for other in checks.names_in(statement.value):
            if isinstance(other, checks.Reference):
                only_name = other.name.rpartition("/")[2]
                checks.find_configurable(only_name, place, shown=repr(other))
        within = tuple(self._parts)
        self.bindings.append(_Binding(key, statement.value, place, within))


def _bind(binding):
    """Gives gin a binding that holds."""
    try:
        value = checks.replace(binding.value, checks.for_gin)
        gin.bind_parameter(binding.key, value)
        kept = gin.config._is_literally_representable(value)
    except Exception as error:
        raise fail(binding.place, error) from error
    if not kept:  # `inf`: gin would leave it out of the saved text.
        problem = f"{checks.label(binding.key)}={value!r} has no gin text. "
        raise fail(binding.place, problem + "Use another value.")


def _macros() -> dict[str, _Binding]:
    return {
        scope: binding
        for (scope, selector, _), binding in _asked.items()
        if selector == checks.MACRO
    }


def _check_macros():
    macros = {name: each.value for name, each in _macros().items()}
    for binding in _asked.values():
        for macro in checks.names_in(binding.value):
            if isinstance(macro, checks.Macro):
                _check_macro(macro, binding, macros)


def _check_macro(macro, binding, macros):
    constant = gin.config._CONSTANTS.matching_selectors(macro.name)
    if constant == ["gin.REQUIRED"]:
        label = checks.label(binding.key)
        raise fail(
            binding.place,
            f"`{label}` is required but not set. Set it in a gin file or by "
            f"--gin_bindings='{label}=...'.",
        )
    if not constant and macro.name not in macros:
        advice = nearest(macro.name, macros, "Defined are")
        raise fail(
            binding.place,
            f"macro `{macro}` is not defined. {advice} Else define it by a "
            f"line `{macro.name} = value`.",
        )
    # Only a circle keeps a known macro from being replaced.
    rest = checks.names_in(checks.resolve(macro, macros))
    if any(each in map(checks.Macro, macros) for each in rest):
        raise fail(binding.place, f"macro `{macro}` refers to itself.")


def _check_types(every: Sequence[_Binding]):
    macros = _macros()
    values = {name: binding.value for name, binding in macros.items()}
    for binding in every:
        _, selector, parameter = binding.key
        value = checks.resolve(binding.value, values)
        if selector == checks.MACRO or any(checks.names_in(value)):
            continue
        kind = checks.annotation(checks.configurables(selector)[0], parameter)
        if not checks.fits(value, kind):
            label = checks.label(binding.key)
            raise fail(
                binding.place,
                f"`{label}` must be {checks.describe(kind)}. "
                f"Received: {parameter}={value!r}{_source(binding)}. "
                f"{checks.repaired(value, kind)}",
            )


def _source(binding):
    macro = binding.value
    if not isinstance(macro, checks.Macro) or macro.name not in _macros():
        return ""
    return f" ({macro} is set at {_macros()[macro.name].place})"
