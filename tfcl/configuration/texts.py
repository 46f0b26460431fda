"""The configuration as gin texts, and what differs between two of them."""

from collections.abc import Mapping, Sequence

import gin

from tfcl.configuration.gin_internals import BindingStatement
from tfcl.configuration.statements import statements
from tfcl.configuration.values import resolve


def asked() -> str:
    """Returns what was asked, as a gin text that loads to the same."""
    return gin.config_str()


def used() -> str:
    """Returns what was used so far, defaults included, as a gin text."""
    return gin.operative_config_str()


def bindings() -> dict[str, str]:
    """Returns `"scope/Name.parameter"` -> value of the present configuration.

    Macros are replaced by their values. The texts depend only on the
    configuration, so they can be compared between processes.
    """
    return parse_bindings(asked())


def parse_bindings(text: str) -> dict[str, str]:
    """Returns the same as `bindings` for a saved text; imports nothing.

    Args:
        text: What `asked` returned, perhaps in an earlier process.

    Raises:
        UserError: If the text is not one of gin's.
    """
    macros, values = {}, {}
    where = "saved configuration, line {}".format
    for statement, _ in statements(text, where):
        if not isinstance(statement, BindingStatement):
            continue
        scope, name = statement.scope, statement.selector
        prefix = f"{scope}/" if scope else ""
        if not statement.arg_name:
            macros[prefix + name] = statement.value
        else:
            values[f"{prefix}{name}.{statement.arg_name}"] = statement.value
    return {
        key: repr(resolve(value, macros))
        for key, value in sorted(values.items())
    }


def differences(
    old: Mapping[str, str], new: Mapping[str, str], ignore: Sequence[str] = ()
) -> list[str]:
    """Returns a line such as `A.b: 1 -> 2` for each differing binding.

    Args:
        old: From `bindings` or `parse_bindings`.
        new: The same, later.
        ignore: Names that may differ, of configurables or with a parameter,
            such as `Runtime` and `Experiment.exports`.
    """

    def is_ignored(key):
        *_, name, parameter = key.rpartition("/")[2].split(".")
        return name in ignore or f"{name}.{parameter}" in ignore

    absent = "(not set)"
    return [
        f"{key}: {old.get(key, absent)} -> {new.get(key, absent)}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key) and not is_ignored(key)
    ]
