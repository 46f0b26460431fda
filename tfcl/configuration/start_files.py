"""Files that networks begin with, asked for before anything is prepared."""

import os

from tfcl.arguments import StartFile
from tfcl.configuration import checks
from tfcl.configuration.binding import Binding, macros, winning
from tfcl.configuration.gin_internals import configurables
from tfcl.configuration.messages import fail
from tfcl.configuration.values import resolve

_DOWNLOAD = "imagenet"


def refuse_missing() -> None:
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
        kind = checks.annotation(entry, parameter)
        if StartFile in (kind, *getattr(kind, "__args__", ())):
            known = {name: each.value for name, each in macros().items()}
            value = resolve(binding.value, known)
            return value if isinstance(value, str) else None
    return None
