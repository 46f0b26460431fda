"""The learned tasks of a run: listed, renamed, removed."""

from __future__ import annotations

import json
import pathlib
import shutil
import typing

from tfcl.data.task import check_task_names
from tfcl.engine.serving import written_again
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.engine.serving.up_to_date import SUFFIXES, versions
from tfcl.engine.storage.checkpoints import CheckpointPolicy, Checkpoints
from tfcl.engine.storage.lock import DirectoryLock
from tfcl.errors import UserError
from tfcl.files import write_atomically

if typing.TYPE_CHECKING:
    from collections.abc import Callable

    from tfcl.engine.storage.journal import Journal
    from tfcl.methods.base import Method


class TaskList:
    """The learned tasks of a run that no process has open.

    Files of a task keep the name that it was learned by, and the journal says
    what it is called: so each change is one save, and a kill leaves the run as
    it was or as it is wished.

    Args:
        model_dir: Folder of the run.
        method: Function without arguments to the run's `Method`, not set up.
    """

    def __init__(self, model_dir: pathlib.Path, method: Callable[[], Method]):
        self.model_dir = model_dir
        self._method = method

    def rename(self, old: str, new: str) -> None:
        """Calls a task otherwise; so do its exports.

        Its data are known under both names.

        Args:
            old, new: Names.

        Raises:
            UserError: If there is no such task, the new name is taken or
                names no file, or a task is in the middle.
        """
        try:
            check_task_names("learned tasks", [new])
        except ValueError as error:
            raise UserError(str(error)) from error

        def change(journal):
            if new in {record.name for record in journal.visits}:
                raise UserError(f"There is a task '{new}' already.")
            _call(journal, old, new)

        self._change(old, change)
        self._move_exports(old, new)

    def remove(self, name: str) -> None:
        """Serves a task no more; its name is free for another one.

        Its values stay, for later tasks may rest on them, and so does its
        column of the accuracy matrix, under the name `<name>.removed<visit>`.
        Its exports are deleted.

        Args:
            name: Of the task.

        Raises:
            UserError: If there is no such task, or one is in the middle.
        """

        def change(journal):
            records = _records(journal, name)
            _call(journal, name, _removed_name(journal, records[0]))
            for record in records:
                record.removed = True

        self._change(name, change)
        folder = self.model_dir / "export"
        _delete_versions(folder / name)
        for suffix in SUFFIXES:
            (folder / f"{name}{suffix}").unlink(missing_ok=True)
        self._learned().bundle_again({})

    def _change(self, name, change):
        lock = DirectoryLock(self.model_dir)
        try:
            learned = self._learned()
            learned.find(name)  # Or an error with the names.
            checkpoints = Checkpoints(
                self.model_dir / "checkpoints", CheckpointPolicy()
            )
            journal = checkpoints.newest()
            assert journal is not None, "it has learned"
            _refuse_unfit(journal, learned.method, self.model_dir)
            change(journal)
            checkpoints.save(learned.method, journal)
            spec = json.dumps(journal.spec, indent=1)
            write_atomically(self.model_dir / "spec.json", spec)
            written_again.write_again(self.model_dir, journal, [])
        finally:
            lock.release()

    def _move_exports(self, old, new):
        folder, learned = self.model_dir / "export", self._learned()
        if versions(folder / old):
            learned.export(learned.find(new))
            _delete_versions(folder / old)
        for suffix in SUFFIXES:
            path = folder / f"{old}{suffix}"
            if path.exists():
                path.rename(folder / f"{new}{suffix}")
        learned.bundle_again({old: new})

    def _learned(self):
        return LearnedTasks(self.model_dir, self._method())


def _records(journal, name):
    return [record for record in journal.visits if record.name == name]


def _call(journal, old, new):
    """Has the journal call a task otherwise."""
    for record in _records(journal, old):
        record.first_name = record.file_name
        record.name = new
        if record.first_name == new:
            record.first_name = ""
    for facts in (journal.facts, journal.spec):
        if facts is not None:
            names = facts["task_names"]
            facts["task_names"] = [new if n == old else n for n in names]


def _removed_name(journal, record):
    """What a task is called from its removal on: as no other is."""
    taken = {each.name for each in journal.visits}
    name = f"{record.name}.removed{record.visit}"
    while name in taken:
        name = f"{name}.{record.visit}"
    return name


def _refuse_unfit(journal: Journal, method: Method, model_dir):
    if journal.position is not None:
        raise UserError(
            f"--model_dir {model_dir} is in the middle of a task. Let it be "
            "learned first."
        )
    if not method.needs_task:
        raise UserError(
            f"The tasks of {method.name} share their classes, so that none "
            "has a name to be asked by. Give another run."
        )


def _delete_versions(folder):
    for path in versions(folder):
        shutil.rmtree(path)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
