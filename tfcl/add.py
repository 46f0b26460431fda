"""Adds a task to a run: `python -m tfcl.add --model_dir=... --task=boats ...`.

Only the new task's images are needed, unless the method learns with the data
of earlier ones.
"""

from __future__ import annotations

import shlex
import sys
import typing

from absl import flags

# isort: off
from tfcl import commands  # Before all that loads TensorFlow.

# isort: on
from rich.console import Console

from tfcl.configuration import command_flags
from tfcl.engine.process.stopping import Stopping
from tfcl.errors import UserError
from tfcl.learner.learner import Learner
from tfcl.learner.task import Task
from tfcl.reporting import results, tables

if typing.TYPE_CHECKING:
    from collections.abc import Sequence


_TASK = flags.DEFINE_string("task", None, "Name of the new task. Required.")
_IMAGES = command_flags.define_path(
    "images",
    "Folder of the task's images: <class>/*.jpg, or "
    "{train,validation,test}/<class>/*.jpg.",
)
_DATASET = flags.DEFINE_string(
    "dataset", None, "In place of --images: a data set of tfcl or of TFDS."
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", None, "Examples per step of this task.", lower_bound=1
)
command_flags.define_bindings(
    "One binding that says how this task is trained, e.g. 'EPOCHS = 5'; "
    "repeats."
)
command_flags.define_data_dir()
command_flags.define_model_dir()
command_flags.define_other_numerics()
flags.mark_flag_as_required("task")


def main(argv: Sequence[str]) -> None:
    """Learns the task, prints the table, brings exports up to date."""
    del argv
    given = flags.FLAGS
    if (_IMAGES.value is None) == (_DATASET.value is None):
        raise UserError(
            "Give either --images, a folder, or --dataset, a name that `tfcl "
            "build --list` shows or TFDS knows."
        )
    assert _TASK.value is not None, "the flag is required"
    learner = Learner.load(
        given.model_dir,
        gin_bindings=given.gin_bindings,
        batch_size=_BATCH_SIZE.value,
        data_dir=given.data_dir,
        allow_other_numerics=given.allow_other_numerics,
    )
    learner.command = shlex.join(["python", "-m", "tfcl.add", *sys.argv[1:]])
    with Stopping(learner.stop):
        learner.learn(Task(_TASK.value, _IMAGES.value or _DATASET.value))
    console, found = Console(), results.read(given.model_dir)
    console.print(tables.final_table(found))
    console.print(tables.summary_line(found))


if __name__ == "__main__":
    commands.run(main)
