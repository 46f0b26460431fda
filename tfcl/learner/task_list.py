"""The learned tasks of a run: listed, renamed, removed."""

from __future__ import annotations

import json
import pathlib
import shutil
import typing

from absl import logging

from tfcl.data.task import check_task_names
from tfcl.engine.serving import written_again
from tfcl.engine.serving.export_options import ExportOptions
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.engine.serving.up_to_date import SUFFIXES, threshold, versions
from tfcl.engine.storage.checkpoints import (
    CheckpointPolicy,
    Checkpoints,
    newest_journal,
)
from tfcl.engine.storage.lock import DirectoryLock
from tfcl.errors import RunError, UserError
from tfcl.files import read_json, write_atomically, write_json

if typing.TYPE_CHECKING:
    from collections.abc import Callable

    from tfcl.engine.storage.journal import Journal
    from tfcl.methods.base import Method


# What is being changed, from before the save until all else follows it.
_CHANGE = "task_change.json"


class TaskList:
    """The learned tasks of a run that no process has open.

    Files of a task keep the name that it was learned by, and the journal says
    what it is called: so each change is one save, and a kill leaves the run as
    it was or as it is wished. Results, report and exports follow; what a kill
    has kept them from, `finish` does.

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

        self._change(old, new, change)

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
            journal.task_agnostic = None  # The task was one of the answers.

        self._change(name, None, change)

    def finish(self) -> None:
        """Ends a change that a kill has cut short; without one does nothing.

        Raises:
            UserError: If another process has the run open, or it cannot be
                written.
            RunError: If its files are damaged.
        """
        if self.is_cut_short:
            lock = DirectoryLock(self.model_dir)
            try:
                self._finish()
            finally:
                lock.release()

    @property
    def is_cut_short(self) -> bool:
        """Whether there is a change to `finish`, or one is being made."""
        return (self.model_dir / _CHANGE).exists()

    def _change(self, name, new, change):
        lock = DirectoryLock(self.model_dir)
        try:
            self._finish()
            learned = self._learned()
            learned.find(name)  # Or an error with the names.
            checkpoints = Checkpoints(
                self.model_dir / "checkpoints", CheckpointPolicy()
            )
            journal = checkpoints.newest()
            assert journal is not None, "it has learned"
            _refuse_unfit(journal, learned.method, self.model_dir)
            change(journal)
            # By the number of the save it is known whether it came to be.
            wished = {"task": name, "new_name": new, "save": journal.saves + 1}
            write_json(self.model_dir / _CHANGE, wished)
            checkpoints.save(learned.method, journal)
            self._finish()
        finally:
            lock.release()

    def _finish(self):
        """Has all else follow the journal; call it while holding the run."""
        path = self.model_dir / _CHANGE
        if not path.exists():
            return
        wished = _read_change(path)
        journal = newest_journal(self.model_dir)
        if journal is not None and journal.saves >= wished["save"]:
            spec = json.dumps(journal.spec, indent=1)
            write_atomically(self.model_dir / "spec.json", spec)
            written_again.write_all_again(self.model_dir, journal)
            if (self.model_dir / "export").is_dir():
                try:
                    self._move_exports(wished["task"], wished["new_name"])
                except UserError as error:  # Now and at every other time.
                    logging.warning("Not brought up to date: %s", error)
        path.unlink()

    def _move_exports(self, old, new):
        """What is there already is written again: it may be half of it."""
        folder, learned = self.model_dir / "export", self._learned()
        if new is not None and versions(folder / old):
            options = ExportOptions(reject_below=threshold(folder / old))
            learned.export(learned.find(new), options=options)
        _delete_versions(folder / old)
        for suffix in SUFFIXES:
            path = folder / f"{old}{suffix}"
            if new is None:
                path.unlink(missing_ok=True)
            elif path.exists():
                path.rename(folder / f"{new}{suffix}")
        learned.bundle_again({} if new is None else {old: new})

    def _learned(self):
        return LearnedTasks(self.model_dir, self._method())


def _read_change(path):
    try:
        found = read_json(path)
        return {key: found[key] for key in ("task", "new_name", "save")}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RunError(
            f"{path}, a change of the tasks that a kill has cut short, cannot "
            f"be read: {error}. Remove it, and ask for the change again."
        ) from error


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
    if journal.facts is None:
        raise UserError(
            f"--model_dir {model_dir} is of an older version, whose journal "
            "does not tell all that results do. Start the run's tfcl.train "
            "command again first."
        )
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
