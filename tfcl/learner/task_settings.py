"""Bindings that may differ from task to task: how a task is trained."""

from __future__ import annotations

import typing

from tfcl import configuration

if typing.TYPE_CHECKING:
    from collections.abc import Mapping


# Everything in these modules serves the training of a task.
_MODULES = (
    "tfcl.optimizers.",
    "tfcl.data.augmentation",
    "tfcl.data.training_crops",
)


def stream_name(bindings: Mapping[str, str]) -> str:
    """What the stream of a run is called in its bindings, "" without one."""
    return _called(bindings.get("Experiment.stream", ""))


def _called(reference):
    """`name` of `@scope/name()`."""
    return reference.lstrip("@").rpartition("/")[2].removesuffix("()")


def of_tasks(bindings: Mapping[str, str]) -> dict[str, str]:
    """Those bindings that may differ from task to task.

    Args:
        bindings: Of a run.
    """
    return {
        key: value
        for key, value in bindings.items()
        if is_of_tasks(key, stream_name(bindings))
    }


def is_of_tasks(key: str, stream: str) -> bool:
    """Whether a binding may differ from task to task.

    So may the stream's own, for learned tasks are known by their data, the
    arguments `per_task` of a class, and optimizers, schedules and
    augmentation. A name that gin does not know today may not.

    Args:
        key: Its left-hand side.
        stream: Name of the stream, or the binding of `Experiment.stream`.
    """
    *_, name, parameter = key.rpartition("/")[2].split(".")
    if name == _called(stream):
        return True
    found = configuration.wrapped(key.rpartition("/")[2].rpartition(".")[0])
    if found is None:
        return False
    if parameter in getattr(found, "per_task", ()):
        return True
    return found.__module__.startswith(_MODULES)
