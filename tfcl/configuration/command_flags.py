"""The flags of the commands; each defines those that it takes."""

from __future__ import annotations

import os
import typing

from absl import flags

from tfcl.configuration import parts
from tfcl.data_builders.regular_files import LARGEST
from tfcl.errors import UserError
from tfcl.files import local_path

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


# Help shows a flag with the command that asks for it here.
flags.disclaim_key_flags()

# Flags whose values are paths.
_PATHS: list[str] = []


def define_path(name: str, text: str, required: bool = False) -> Any:
    """Defines a flag whose value is a path; returns its holder.

    `run` expands `~` in it and refuses URLs.
    """
    _PATHS.append(name)
    if required:
        text += " Required."
    return flags.DEFINE_string(name, None, text, required=required)


def _unless_another_program_has(name: str, define: Callable) -> None:
    """Defines a flag of several commands, which one process may load."""
    if name in flags.FLAGS:
        flags.declare_key_flag(name)
    else:
        define(name)


def define_model_dir(required: bool = True) -> None:
    """Defines the flag `--model_dir`, unless another program has."""
    text = "Folder of the run." + (" Required." if required else "")
    _unless_another_program_has(
        "model_dir", lambda name: define_path(name, text)
    )
    if required:
        flags.mark_flag_as_required("model_dir")


def define_data_dir() -> None:
    """Defines the flag `--data_dir`, unless another program has."""
    text = (
        "Folder of TFDS data sets. Default: the run's, if it has begun, else "
        "$TFDS_DATA_DIR."
    )
    _unless_another_program_has(
        "data_dir", lambda name: define_path(name, text)
    )


def define_other_numerics() -> None:
    """Defines the flag `--allow_other_numerics`, unless another program has."""
    text = (
        "Go on with another precision, number of threads or replicas or the "
        "like than the run had so far."
    )
    _unless_another_program_has(
        "allow_other_numerics",
        lambda name: flags.DEFINE_bool(name, False, text),
    )


def define_task(text: str) -> None:
    """Defines the flag `--task`, unless another program has.

    Args:
        text: What the command does without it.
    """
    _unless_another_program_has(
        "task",
        lambda name: flags.DEFINE_string(
            name, None, f"Name of a learned task. {text}"
        ),
    )


def define_largest_file() -> None:
    """Defines the flag `--largest_file`, unless another program has."""
    text = "Bytes that an image file of yours may hold."
    _unless_another_program_has(
        "largest_file",
        lambda name: flags.DEFINE_integer(name, LARGEST, text, lower_bound=1),
    )


def define_bindings(text: str) -> None:
    """Defines the flag `--gin_bindings`, unless another program has."""
    _unless_another_program_has(
        "gin_bindings",
        lambda name: flags.DEFINE_multi_string(name, [], text),
    )


def define_gin() -> None:
    """Defines the flags that say what a run is put together from."""
    flags.DEFINE_multi_string(
        "gin_file", [], "gin file; may be given several times, later lines win."
    )
    define_bindings("One binding, e.g. 'EPOCHS=60'; repeats.")
    for name, example in (
        (parts.STREAMS, "digits_5"),
        (parts.METHODS, "lasem"),
        (parts.NETWORKS, "lasem_cifar_6"),
    ):
        flag = name.removesuffix("s")
        flags.DEFINE_string(
            flag, None, f"A file of gin/{name} by its name, such as {example}."
        )
    flags.DEFINE_enum(
        "scenario",
        None,
        parts.SCENARIOS,
        "How the tasks of the stream are seen. Default: as its file says.",
    )


def gin_files() -> list[str]:
    """The gin files of the flags `define_gin`, in the order to be read.

    Raises:
        UserError: If they name no run, or a name is unknown.
    """
    given = flags.FLAGS
    return parts.files(
        [local_path(path, "--gin_file") for path in given.gin_file],
        given.stream,
        given.method,
        given.network,
    )


def gin_bindings() -> list[str]:
    """The bindings of the flags `define_gin`, in the order to be read."""
    given = flags.FLAGS
    chosen = given.scenario
    named = [] if chosen is None else [f"Experiment.scenario = '{chosen}'"]
    return [*named, *given.gin_bindings]


def refuse_repeated_flags() -> None:
    """Refuses a flag that is given twice where only one can count.

    Raises:
        UserError: With the flag; flags that may repeat do not.
    """
    for name, value in flags.FLAGS.flag_values_dict().items():
        times = flags.FLAGS[name].present
        if times > 1 and not isinstance(value, list):
            raise UserError(
                f"--{name} is given {times} times, and only the last, "
                f"{value!r}, would count. Give it once."
            )


def localise_paths() -> None:
    """Expands `~` in flags that are paths, and refuses URLs."""
    given = flags.FLAGS
    for name in _PATHS:
        value = given[name].value
        if value is not None:
            given[name].value = local_path(value, f"--{name}")
    if "data_dir" in given and not given["data_dir"].value:
        default = os.environ.get("TFDS_DATA_DIR") or ""
        local_path(default, "TFDS_DATA_DIR")
