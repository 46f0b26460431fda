"""What a run keeps of the data of its tasks: folder `learner/`."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import pathlib
import typing

import numpy as np

from tfcl.data.absent import AbsentImages, AbsentSplit
from tfcl.data.preprocessing import Preprocessing
from tfcl.data.split import Split
from tfcl.data.task import Task
from tfcl.engine.storage.npz import from_npz, to_npz
from tfcl.errors import RunError, UserError
from tfcl.files import cannot, read_json, write_atomically, write_json

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tfcl.engine.storage.journal import Journal
    from tfcl.types import Folder


FOLDER = "learner"
_FORMAT = 1
_SPLITS = ("train", "validation", "test")
_IMAGES = "test/images"


class KeptTasks:
    """Names, labels and test images of the tasks that a program has given.

    `learner/tasks.json` lists the tasks in the order of learning, each with
    the settings by which its images were read. `000_shoes.npz` holds
    the labels of a task and its test images: so it is measured again when
    others have been learned, by programs that no longer have its data.

    Args:
        model_dir: Folder of the run.

    Attributes:
        names: Of the tasks.
        settings: Those of the newest task, JSON-ready; None of a new run.

    Raises:
        RunError: If `tasks.json` cannot be read.
    """

    def __init__(self, model_dir: Folder):
        self.folder = pathlib.Path(model_dir) / FOLDER
        self._entries: list[dict[str, Any]] = []
        path = self.folder / "tasks.json"
        if not path.exists():
            return
        try:
            content = read_json(path)
            if content["format"] != _FORMAT:
                raise ValueError(f"it is of format {content['format']}")
            self._entries = content["tasks"]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise RunError(
                f"{path} cannot be read: {error}. Restore it from a copy."
            ) from error

    @property
    def names(self) -> list[str]:
        return [entry["name"] for entry in self._entries]

    @property
    def settings(self) -> dict[str, Any] | None:
        return self._entries[-1]["reading"] if self._entries else None

    def begun(self, journal: Journal) -> str | None:
        """Name of the task that a run is in the middle of, None between two.

        Args:
            journal: `Journal` of the run.

        Raises:
            RunError: If nothing is kept of that task.
        """
        if journal.position is None:
            return None
        number = len(journal.visits)
        if number >= len(self.names):
            raise RunError(
                f"{self.folder} does not tell of the task that the run is in "
                "the middle of. Restore it from a copy."
            )
        return self.names[number]

    def refuse_other_begun(self, begun: str | None, name: str) -> None:
        """Refuses a task while another one is in the middle.

        Args:
            begun: Of `begun`.
            name: Of the task that is asked for.

        Raises:
            UserError: With the way out.
        """
        if begun not in (None, name):
            raise UserError(
                f"{self.folder.parent} is in the middle of task '{begun}'. Let "
                f"it learn that one first, then '{name}'."
            )

    def refuse_other(self, task: Task) -> None:
        """Refuses other examples than a task was begun with.

        Args:
            task: `Task` with its data.

        Raises:
            UserError: With the parts that differ.
        """
        entry = self._entries[task.index]
        other = [
            name
            for name in _SPLITS
            if getattr(task, name).digest() != entry["splits"][name]["digest"]
        ]
        if other or list(task.class_names) != entry["class_names"]:
            what = f"{' and '.join(other)} examples" if other else "class names"
            raise UserError(
                f"Task '{task.name}' was begun with other {what}. Give the "
                "same ones, in the same order, or another folder for the run."
            )

    def follow(self, journal: Journal) -> None:
        """Calls the tasks as the run does, and forgets what it has not begun.

        That is of a program that was refused, or killed, before its first
        checkpoint: nothing is learned with it.

        Args:
            journal: `Journal` of the run.
        """
        count = len(journal.visits) + (journal.position is not None)
        self._entries = self._entries[:count]
        for record in journal.visits[: len(self._entries)]:
            entry = self._entries[record.index]
            self._entries[record.index] = {**entry, "name": record.name}

    def reading(self, name: str) -> dict[str, Any]:
        """The settings by which a task was read, JSON-ready."""
        return self._entries[self.names.index(name)]["reading"]

    def keep(self, task: Task, settings: dict[str, Any]) -> None:
        """Adds a task, in the place of all from its index on.

        Args:
            task: `Task` with its data.
            settings: By which it was read, and further tasks are, JSON-ready.

        Raises:
            RunError: If the disk is full or not writable.
        """
        arrays: dict[str, np.ndarray] = {_IMAGES: task.test.images[:]}
        splits = {}
        for name in _SPLITS:
            split = getattr(task, name)
            arrays[f"{name}/labels"] = split.labels
            splits[name] = {
                "digest": split.digest(),
                "mean": split.mean.tolist(),
                "std": split.std.tolist(),
            }
        content = to_npz(arrays)
        file = f"{task.index:03d}_{task.name}.npz"
        entry = {
            "name": task.name,
            "class_names": list(task.class_names),
            "image_shape": [int(n) for n in task.train.image_shape],
            "preprocessing": task.preprocessing.to_json(),
            "reading": settings,
            "splits": splits,
            "file": file,
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        entries = [*self._entries[: task.index], entry]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / file, content)
            write_json(
                self.folder / "tasks.json",
                {"format": _FORMAT, "tasks": entries},
            )
        except OSError as error:
            raise cannot(
                f"keep task '{task.name}' in {self.folder}", error
            ) from error
        self._entries = entries

    def task(
        self,
        index: int,
        earlier: Sequence[Task],
        again: Callable[[], Task] | None = None,
    ) -> Task:
        """A task with its test images; the others are fetched when needed.

        Args:
            index: Of the task.
            earlier: The tasks before it.
            again: Opens the task with its data; None if nobody has them.

        Raises:
            RunError: If its file is missing or damaged.
        """
        entry = self._entries[index]
        arrays = self._read(entry)
        made: dict[str, typing.Any] = {}
        for name in _SPLITS:
            facts = entry["splits"][name]
            options = {
                "labels": arrays[f"{name}/labels"],
                "mean": np.asarray(facts["mean"], np.float32),
                "std": np.asarray(facts["std"], np.float32),
            }
            if name == "test":
                made[name] = Split(images=arrays[_IMAGES], **options)
                continue
            absent = AbsentImages(
                len(options["labels"]),
                entry["image_shape"],
                again and functools.partial(_fetched, entry, name, again),
                f"The {name} images of task '{entry['name']}' were given by a "
                "Python program, and a run does not keep them. Go on in a "
                f"program that gives them: learner.learn(tfcl.Task("
                f"'{entry['name']}', train=...)).",
            )
            made[name] = AbsentSplit(
                images=absent, known_digest=facts["digest"], **options
            )
        return Task(
            index=index,
            name=entry["name"],
            class_names=tuple(entry["class_names"]),
            preprocessing=Preprocessing.from_json(entry["preprocessing"]),
            earlier=tuple(earlier),
            **made,
        )

    def _read(self, entry):
        path = self.folder / entry["file"]
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == entry["sha256"]:
                return from_npz(content)
        except (OSError, ValueError) as error:
            raise RunError(
                f"{path} cannot be read: {error}. Restore it from a copy."
            ) from error
        raise RunError(
            f"{path} is damaged: its checksum differs from tasks.json. "
            "Restore it from a copy."
        )


def _fetched(entry, split, again):
    """Images of a split, from who has them."""
    name = entry["name"]
    found = getattr(again(), split)
    if found.digest() != entry["splits"][split]["digest"]:
        raise UserError(
            f"Task '{name}': its {split} examples are not those that the run "
            "has learned. Give the same ones, or none."
        )
    return found.images


def with_index(task: Task, index: int, earlier: Sequence[Task]) -> Task:
    """The same task at a place in a stream.

    Args:
        task: `Task`.
        index: The place.
        earlier: The tasks before it.
    """
    return dataclasses.replace(task, index=index, earlier=tuple(earlier))
