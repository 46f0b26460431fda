"""Writes SavedModels: `python -m tfcl.export --model_dir=... [--task=...]`.

With `--bundle` all of them become one, with the shared network stored once.
"""

from __future__ import annotations

import typing

from absl import flags

from tfcl import commands
from tfcl.configuration import command_flags
from tfcl.engine.serving.formats import FORMATS, SAVED_MODEL
from tfcl.errors import UserError
from tfcl.learner import runs

if typing.TYPE_CHECKING:
    from collections.abc import Sequence


_TASKS = flags.DEFINE_multi_string(
    "task", [], "Name of a learned task; repeats. Default: all."
)
_FOLDER = command_flags.define_path(
    "export_dir", "Where to write. Default: <model_dir>/export."
)
_BUNDLE = flags.DEFINE_bool(
    "bundle",
    False,
    "Write one SavedModel of all these tasks, whose second input is the number "
    "of each image's task.",
)
_FORMAT = flags.DEFINE_enum(
    "format",
    SAVED_MODEL,
    FORMATS,
    "saved_model: images of any size in, for servers and Python. keras: a "
    ".keras file of Keras' own layers. litert: a .tflite file for devices. The "
    "last two take pixels in the network's size.",
)
command_flags.define_model_dir()


def main(argv: Sequence[str]) -> None:
    """Exports the tasks and prints the folders."""
    del argv
    learned = runs.open_learned(flags.FLAGS.model_dir)
    entries = map(learned.find, _TASKS.value or learned.names)
    if _BUNDLE.value and _FORMAT.value != SAVED_MODEL:
        raise UserError(
            f"--format={_FORMAT.value} is of one task each; --bundle is a "
            "SavedModel. Leave one of them out."
        )
    if _BUNDLE.value:
        print(learned.export_bundle(list(entries), _FOLDER.value))
    else:
        for entry in entries:
            print(learned.export(entry, _FOLDER.value, _FORMAT.value))
    commands.refuse_earlier_state(learned.earlier_state, "These exports")


if __name__ == "__main__":
    commands.run(main)
