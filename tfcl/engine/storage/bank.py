"""The finished tasks: immutable folders, written once, checked when read."""

from __future__ import annotations

import gzip
import hashlib
import json
import pathlib
import shutil
import typing
import zlib

import numpy as np

from tfcl.data.preprocessing import Preprocessing
from tfcl.engine.storage.npz import from_npz, to_npz
from tfcl.errors import RunError, UserError
from tfcl.files import cannot, read_json, write_atomically, write_json

if typing.TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tfcl.data.task import Visit
    from tfcl.engine.storage.journal import Journal
    from tfcl.types import Values


_OWN_SUM = "facts_sha256"
_FILES = "files.json.gz"


class BankedTask:
    """What is kept of a finished task.

    Attributes:
        index, name, class_names: As in `Task`.
        preprocessing: `Preprocessing` for a user's images.
        notes: The method's facts (configuration, ...).
        values: `{name: array}` of the slot.
        num_bytes: Bytes of all arrays.
        num_parameters: Numbers in all floating arrays.
    """

    def __init__(self, note: dict[str, Any], values: Values):
        self.index = note["index"]
        self.name = note["name"]
        self.class_names = tuple(note["class_names"])
        self.preprocessing = Preprocessing.from_json(note["preprocessing"])
        self.notes = note["notes"]
        self.values = values
        self.num_bytes = sum(v.nbytes for v in values.values())
        self.num_parameters = sum(
            v.size
            for v in values.values()
            if np.issubdtype(v.dtype, np.floating)
        )


class Bank:
    """Folder `model_dir/tasks` with one folder per learned task.

    The number is that of the visit: a task seen again gets a folder of its
    own. `003_flowers/values.npz` holds the slot's values, `task.json` names,
    preprocessing, the method's notes and checksums of them and of both other
    files, `history.npz` the training curves, `files.json.gz` which files the
    task was read from, if it was. A folder appears by one rename.

    Args:
        folder: `model_dir/tasks`.
        writes: False on workers other than the chief.
        first_names: `{visit: name}` of tasks whose files have a former name.
    """

    def __init__(
        self,
        folder: str | pathlib.Path,
        writes: bool = True,
        first_names: Mapping[int, str] | None = None,
    ):
        self.folder = pathlib.Path(folder)
        self.writes = writes
        self.first_names = dict(first_names or {})
        self._unwritten: dict[int, BankedTask] = {}

    def store(
        self,
        visit: Visit,
        values: Values,
        notes: Mapping[str, Any],
        history: Mapping[str, np.ndarray],
    ) -> None:
        """Adds a finished task.

        Args:
            visit: `Visit`.
            values: `{name: array}`.
            notes: JSON-ready dictionary.
            history: `{name: array}` of training curves.
        """
        content, curves, task = to_npz(values), to_npz(history), visit.task
        note = {
            "index": task.index,
            "name": task.name,
            "class_names": list(task.class_names),
            "preprocessing": task.preprocessing.to_json(),
            "notes": notes,
            "sha256": hashlib.sha256(content).hexdigest(),
            "history_sha256": hashlib.sha256(curves).hexdigest(),
        }
        note[_OWN_SUM] = _checksum(note)
        if not self.writes:
            self._unwritten[visit.number] = BankedTask(note, values)
            return
        final = self._path(visit.number, task.name)
        temporary = final.with_name(f".{final.name}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            temporary.mkdir(parents=True)
            write_atomically(temporary / "values.npz", content)
            write_atomically(temporary / "history.npz", curves)
            if task.files:
                write_atomically(temporary / _FILES, _packed(task.files))
            write_json(temporary / "task.json", note)
            # Left over from a run that was killed before it could note the
            # task as finished; the same task, learned to the same bits.
            shutil.rmtree(final, ignore_errors=True)
            temporary.rename(final)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise cannot(
                f"write task '{task.name}' to {self.folder}", error
            ) from error

    def load(self, visit: int, name: str) -> BankedTask:
        """The `BankedTask` of a task after its visit number `visit`.

        Raises:
            RunError: If a file is missing or its checksum is wrong.
        """
        if visit in self._unwritten:
            return self._unwritten[visit]
        path = self._path(visit, name)
        try:
            note = _read_note(path)
            content = (path / "values.npz").read_bytes()
            if note["name"] != self.first_names.get(visit, name):
                raise ValueError(f"it holds task '{note['name']}'")
            if hashlib.sha256(content).hexdigest() == note["sha256"]:
                note = {**note, "name": name}
                return BankedTask(note, from_npz(content))
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise RunError(
                f"Task '{name}' cannot be read from {path}: {error}. Restore "
                "the folder from a copy."
            ) from error
        raise RunError(
            f"{path / 'values.npz'} is damaged: its checksum differs from "
            "task.json. Restore the folder from a copy."
        )

    def recall(self, journal: Journal, index: int) -> Values:
        """Values of a task after its newest visit.

        Args:
            journal: Of the run.
            index: Of the task.

        Raises:
            RunError: As of `load`.
        """
        newest = {record.index: record for record in journal.visits}[index]
        return self.load(newest.visit, newest.name).values

    def history(self, visit: int, name: str) -> dict[str, np.ndarray]:
        """`{name: array}` of training curves.

        Workers other than the chief, which may not see the folder, get none.

        Raises:
            RunError: If the file is missing or damaged. Curves are kept
                nowhere else.
        """
        path = self._path(visit, name)
        file = path / "history.npz"
        if not self.writes and not file.exists():
            return {}
        try:
            content = file.read_bytes()
            sha = _read_note(path).get("history_sha256")  # None in older runs
            if sha not in (None, hashlib.sha256(content).hexdigest()):
                raise ValueError("its checksum differs from task.json")
            return from_npz(content)
        except (OSError, ValueError) as error:
            raise RunError(
                f"The training curves of task '{name}' cannot be read from "
                f"{file}: {error}. They are kept nowhere else; restore the "
                "file from a copy."
            ) from error

    def files(self, visit: int, name: str) -> dict[str, str]:
        """`{path: digest}` of the files that a task was read from.

        Empty where that is not known, or damaged: only messages tell of it.
        """
        try:
            content = (self._path(visit, name) / _FILES).read_bytes()
            return dict(json.loads(gzip.decompress(content)))
        except (OSError, EOFError, ValueError, TypeError, zlib.error):
            return {}

    def names(self) -> dict[str, int]:
        """`{task name: newest visit}` of the tasks in the bank."""
        found = {}
        for path in sorted(self.folder.glob("[0-9]*_*")):
            number, name = path.name.split("_", maxsplit=1)
            found[name] = int(number)
        return found

    def find(self, name: str) -> BankedTask:
        """The `BankedTask` named `name`.

        Raises:
            UserError: If there is none.
        """
        names = self.names()
        if name not in names:
            known = ", ".join(names) or "none yet"
            raise UserError(
                f"No learned task '{name}' in {self.folder}. Learned tasks: "
                f"{known}."
            )
        return self.load(names[name], name)

    def _path(self, visit, name):
        return self.folder / f"{visit:03d}_{self.first_names.get(visit, name)}"


def _packed(files):
    """Names of files as bytes; the same names give the same bytes."""
    return gzip.compress(json.dumps(dict(files)).encode(), mtime=0)


def _read_note(path):
    """The content of a `task.json`; `ValueError` if it is damaged."""
    note = read_json(path / "task.json")
    if not isinstance(note, dict):
        raise ValueError("task.json holds no facts of a task")
    # Notes of older versions have no checksum of their own.
    if note.get(_OWN_SUM, _checksum(note)) != _checksum(note):
        raise ValueError("task.json is damaged, its checksum differs")
    return note


def _checksum(note):
    """SHA-256 of a task's facts, whatever the layout of their file."""
    facts = {name: fact for name, fact in note.items() if name != _OWN_SUM}
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
