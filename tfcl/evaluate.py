"""Measures a run again: `python -m tfcl.evaluate --model_dir=...`.

With `--images=FOLDER`, by new images instead of its own test data.
"""

from __future__ import annotations

import typing

import numpy as np
from absl import flags
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tfcl import commands, configuration
from tfcl.configuration import command_flags
from tfcl.data.absent import is_lost
from tfcl.data.sources.image_files import check_image
from tfcl.engine.experiment import Experiment
from tfcl.errors import RunError, UserError, printable
from tfcl.learner import runs
from tfcl.learner.asking.image_paths import class_folders
from tfcl.learner.asking.new_images import asked_tasks, measured

if typing.TYPE_CHECKING:
    from collections.abc import Sequence


_IMAGES = command_flags.define_path(
    "images",
    "Folder of new images with a sub-folder per class, called like the class: "
    "measures by them, and needs none of the run's data.",
)
command_flags.define_task(
    "Of --images; default: each one whose classes are there."
)
command_flags.define_largest_file()
command_flags.define_data_dir()
command_flags.define_model_dir()


def main(argv: Sequence[str]) -> None:
    """Recomputes the last row of R from the bank and compares it."""
    del argv
    if _IMAGES.value:
        _measure_images(flags.FLAGS.model_dir)
        return
    if flags.FLAGS.task:
        raise UserError(
            "--task is of --images: the run's own tasks are measured all. "
            f"Leave it out. Received: --task={flags.FLAGS.task}"
        )
    runs.load_run(flags.FLAGS.model_dir)
    with runs.explained():
        run = Experiment(
            model_dir=flags.FLAGS.model_dir,
            data_dir=flags.FLAGS.data_dir,
            bindings=configuration.bindings(),
        )
    try:
        runs.refuse_changed_file(run.model_dir, run.journal.bindings)
        found, recorded = run.measure_again()
    finally:
        run.close()
    earlier = run.earlier_state()
    title = str(run.model_dir)
    if earlier is not None:
        title += f": EARLIER STATE, after {len(recorded)} tasks"
    table = Table("task", "recorded %", "now %", title=title)
    for task, old, new in zip(run.stream, recorded, found):
        now = "not here" if is_lost(task.test) else _percent(new)
        table.add_row(task.name, _percent(old), now)
    Console().print(table)
    changed = runs.difference(found, recorded)
    if changed is not None:
        raise RunError(changed)
    commands.refuse_earlier_state(earlier, "These numbers")


def _percent(accuracy):
    return "–" if np.isnan(accuracy) else f"{100 * accuracy:.2f}"


def _measure_images(model_dir):
    """Prints accuracies on new images, in all and per class."""
    files = class_folders(_IMAGES.value)
    largest = flags.FLAGS.largest_file
    for paths in files.values():  # Before the network is built.
        for path in paths:
            check_image(path, largest)
    learned = runs.open_learned(model_dir)
    for entry in asked_tasks(learned, list(files), flags.FLAGS.task):
        found = measured(learned, entry, files, largest)
        table = Table(
            *("class", "images", "right", "accuracy %"),
            title=escape(printable(f"{found.task} on {_IMAGES.value}")),
        )
        for name, (right, images) in found.classes.items():
            _add_row(table, name, right, images)
        table.add_section()
        _add_row(table, "all", found.right, found.images)
        Console().print(table)
    commands.refuse_earlier_state(learned.earlier_state, "These numbers")


def _add_row(table, name, right, images):
    part = f"{100 * right / images:.2f}"
    table.add_row(escape(printable(name)), str(images), str(right), part)


if __name__ == "__main__":
    commands.run(main)
