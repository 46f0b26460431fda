"""What a configuration may say: names, parameters, files and modules.

`tfcl.configuration.reading` reads the files and gives gin their content.
"""

import difflib
import importlib
import inspect
import os
import pathlib
import pkgutil
import re
from typing import Any

import gin

from tfcl.arguments import kind_of
from tfcl.configuration import gin_internals
from tfcl.configuration.binding import Binding, macros, winning
from tfcl.configuration.gin_internals import Entry, configurables
from tfcl.configuration.messages import fail, listed, nearest
from tfcl.configuration.values import resolve
from tfcl.types import StartFile

_DOWNLOAD = "imagenet"  # No file, but what Keras fetches.


def parameters(entry: Entry) -> tuple[dict[str, inspect.Parameter], bool]:
    """Returns the parameters a file may bind, and whether any others, too.

    What stands for the arguments of another configurable (`options_of`) is
    bound there.
    """
    try:
        found = inspect.signature(gin_internals.constructor(entry))
    except (TypeError, ValueError):  # Written in C: nothing is known.
        return {}, True
    every = list(found.parameters.values())
    if inspect.isclass(entry.wrapped):
        every = every[1:]  # self
    has_more = _takes_more(every) and options_of(entry) is None
    bindable = {
        each.name: each
        for each in every
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
        and each.name not in (entry.denylist or ())
        and (not entry.allowlist or each.name in entry.allowlist)
    }
    return bindable, has_more and not entry.allowlist


def _takes_more(every):
    return any(each.kind is each.VAR_KEYWORD for each in every)


def options_of(entry: Entry) -> Entry | None:
    """The configurable whose arguments a class takes by `**`, if there is one.

    That is the class of its first parameter, if this one may be None: in
    `CLR(training: TaskTraining | None = None, ..., **options)` the
    `TaskTraining`. Where a class says no type, its bases may.
    """
    if not inspect.isclass(entry.wrapped):
        return None
    every = list(_of_constructor(entry.wrapped).values())[1:]
    if not every or every[0].default is not None or not _takes_more(every):
        return None
    for owner in entry.wrapped.__mro__:
        first = _of_constructor(owner).get(every[0].name)
        if first is None or first.annotation is first.empty:
            continue
        for word in re.findall(r"[\w.]+", str(first.annotation)):
            found = configurables(word)
            if len(found) == 1:
                return found[0]
    return None


def _of_constructor(owner):
    """Parameters of a class's own `__init__`, none if it has no own."""
    own = vars(owner).get("__init__")
    if not inspect.isfunction(own):
        return {}
    return inspect.signature(inspect.unwrap(own)).parameters


def annotation(entry: Entry, parameter: str) -> Any:
    """Returns what a parameter is annotated with, `Any` if with nothing."""
    found = parameters(entry)[0].get(parameter)
    return kind_of(found, gin_internals.constructor(entry)) if found else Any


def find_configurable(name: str, place: str, shown: str = "") -> Entry:
    """Returns the only entry of a name.

    Args:
        name: Full name of the configurable, or the end of it.
        place: Of the line that names it.
        shown: How the line writes it, if not by `name` alone.

    Raises:
        UserError: If there is none, or several.
    """
    found = configurables(name)
    if len(found) == 1:
        return found[0]
    shown = shown or name
    if found:
        every = ", ".join(sorted(entry.selector for entry in found))
        raise fail(
            place, f"`{shown}` is ambiguous. Write one of these: {every}."
        )
    names = gin_internals.configurable_names()
    advice = nearest(name, names) or nearest(
        name.rpartition(".")[2], names, "Known are"
    )
    raise fail(
        place,
        f"nothing configurable is called `{shown}`. {advice} "
        "If it exists, add the line `import <its module>` above.",
    )


def check_parameter(
    entry: Entry, name: str, parameter: str, place: str
) -> None:
    """Raises UserError if a file may not bind a parameter.

    Args:
        entry: Of the configurable.
        name: As the line at `place` writes it.
        parameter: Name.
        place: Of the line.
    """
    known, is_open = parameters(entry)
    denied = parameter in (entry.denylist or ())
    if parameter in known or (is_open and not denied):
        return
    options = options_of(entry)
    if options and parameter in parameters(options)[0]:
        other = gin_internals.short_name(options.selector)
        raise fail(
            place,
            f"`{name}` has no parameter `{parameter}` in gin files, where it "
            f"is one of `{other}`. Write `{other}.{parameter}`.",
        )
    problem = f"`{name}` has no parameter `{parameter}`"
    if denied:
        problem = f"`{name}.{parameter}` is given by the program"
    advice = nearest(parameter, known)
    raise fail(place, f"{problem}. {advice} {listed('Its parameters', known)}")


def file_at(path: str, beside: str = "") -> str | None:
    """Returns where a gin file is, None if in no folder that is searched.

    Args:
        path: As written.
        beside: The file that includes it: its folder is searched first.
    """
    path = os.path.expanduser(path)
    places = [os.path.dirname(beside)] if beside else []
    places += gin_internals.search_path()
    found = (os.path.join(each, path) for each in places)
    return next(filter(os.path.isfile, found), None)


def find_file(path: str, place: str, beside: str = "") -> str:
    """Returns where a gin file is; see `file_at`.

    Raises:
        UserError: If it is nowhere; with files of similar names.
    """
    found = file_at(path, beside)
    if found:
        return found
    folder, name = os.path.split(path)
    others = set()
    for prefix in map(pathlib.Path, gin_internals.search_path()):
        # Beside the path asked for, and below the folder of all gin files.
        near = (prefix / folder).glob("*.gin")
        others |= {os.path.join(folder, other.name) for other in near}
        below = (prefix / "gin").rglob("*.gin")
        others |= {str(other.relative_to(prefix)) for other in below}
    close = [other for other in sorted(others) if other.endswith(f"/{name}")]
    close = close or difflib.get_close_matches(path, sorted(others), n=1)
    problem = "is a folder" if os.path.isdir(path) else "does not exist"
    advice = (
        "Paths start at the folder of the including file, the working folder "
        "or where the gin files of tfcl are."
    )
    if close:
        advice = f"Did you mean {' or '.join(map(repr, close[:3]))}?"
    raise fail(place, f"gin file '{path}' {problem}. {advice}")


def do_import(statement: gin_internals.ImportStatement, place: str) -> None:
    """Imports a module, and has gin note that in the saved text.

    Raises:
        UserError: If that fails, in whatever way.
    """
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


def refuse_missing_files() -> None:
    """Refuses bindings to weights and networks in files that are not there.

    Arguments that name such a file are annotated with `StartFile`.

    Raises:
        UserError: With place, binding and path.
    """
    for binding in winning.values():
        path = _path(binding)
        if path not in (None, _DOWNLOAD) and not os.path.isfile(path):
            raise fail(
                binding.place,
                f"`{binding.label}`: no file '{path}'{binding.source}. Paths "
                "start at the working folder. Give the path of the file.",
            )


def _path(binding: Binding) -> str | None:
    _, selector, parameter = binding.key
    for entry in configurables(selector):
        kind = annotation(entry, parameter)
        if StartFile in (kind, *getattr(kind, "__args__", ())):
            known = {name: each.value for name, each in macros().items()}
            value = resolve(binding.value, known)
            return value if isinstance(value, str) else None
    return None
