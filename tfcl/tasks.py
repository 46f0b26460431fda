"""Lists the tasks of a run, renames and removes: `python -m tfcl.tasks ...`."""

from __future__ import annotations

import pathlib
import typing

from absl import flags

# isort: off
from tfcl import commands  # Before all that loads TensorFlow.

# isort: on
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tfcl import configuration
from tfcl.configuration import command_flags
from tfcl.engine.continuing.resuming import refuse_unlearned
from tfcl.engine.storage.checkpoints import newest_journal
from tfcl.errors import UserError, printable
from tfcl.learner import runs
from tfcl.learner.task_list import TaskList
from tfcl.reporting import tables

if typing.TYPE_CHECKING:
    from collections.abc import Sequence


_RENAME = flags.DEFINE_multi_string(
    "rename", [], "OLD=NEW: calls a task otherwise; repeats."
)
_REMOVE = flags.DEFINE_multi_string(
    "remove", [], "Name of a task that is served no more; repeats."
)
command_flags.define_model_dir()


def main(argv: Sequence[str]) -> None:
    """Does what is asked, then prints the tasks."""
    del argv
    folder = pathlib.Path(flags.FLAGS.model_dir)
    pairs = [_pair(text) for text in _RENAME.value]
    runs.finish_change(folder)
    if pairs or _REMOVE.value:
        runs.load_run(folder)
        with runs.explained():
            tasks = TaskList(
                folder, lambda: configuration.build("Experiment.method")
            )
            for old, new in pairs:
                tasks.rename(old, new)
            for name in _REMOVE.value:
                tasks.remove(name)
    _show(folder)


def _pair(text):
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise UserError(
            f"--rename must be OLD=NEW, two names. Received: --rename={text}"
        )
    return old, new


def _show(folder):
    journal = newest_journal(folder)
    refuse_unlearned(journal, folder)
    assert journal is not None, "it has learned"
    row = runs.last_row(journal)
    columns = ("task", "classes", "test images", "accuracy %", "epochs", "kB")
    table = Table(*columns, title=escape(printable(str(folder))))
    for record in {r.index: r for r in journal.visits}.values():
        if record.removed:
            continue
        accuracy = row[record.name]
        table.add_row(
            escape(printable(record.name)),
            str(len(record.class_names)),
            str(record.sizes["test"]),
            tables.percent(accuracy),
            str(record.epochs),
            f"{record.footprint['task_bytes'] / 1000:.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    commands.run(main)
