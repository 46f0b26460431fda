"""Accuracy of learned tasks on new labelled images."""

from __future__ import annotations

import typing

import numpy as np

from tfcl.errors import UserError
from tfcl.learner.asking.read_images import AT_ONCE, read_like

if typing.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfcl.engine.serving.learned import LearnedTasks
    from tfcl.engine.storage.bank import BankedTask


class Measurement(typing.NamedTuple):
    """How a task has answered.

    Attributes:
        task: Name.
        classes: `{class: (right, images)}` in the order of the task's classes,
            of those that have images.
    """

    task: str
    classes: dict[str, tuple[int, int]]

    @property
    def images(self) -> int:
        """How many there were."""
        return sum(images for _, images in self.classes.values())

    @property
    def right(self) -> int:
        """How many were answered rightly."""
        return sum(right for right, _ in self.classes.values())

    @property
    def accuracy(self) -> float:
        """Part of the images that were answered rightly."""
        return self.right / self.images


def asked_tasks(
    learned: LearnedTasks, classes: Sequence[str], task: str | None
) -> list[BankedTask]:
    """The tasks that can be measured by images of some classes.

    Args:
        learned: `LearnedTasks`.
        classes: Names of the classes.
        task: Name of the task; None for all that have one of the classes.

    Raises:
        UserError: If a class is unknown, with the known ones.
    """
    names = learned.names if task is None else [task]
    entries = [learned.find(name) for name in names]
    known = {name for entry in entries for name in entry.class_names}
    unknown = [name for name in classes if name not in known]
    if unknown:
        who = f"Task '{task}' has no" if task else "No learned task has a"
        has = "; ".join(
            f"{entry.name}: {', '.join(entry.class_names)}" for entry in entries
        )
        raise UserError(
            f"{who} class {', '.join(map(repr, unknown))}. A sub-folder of "
            f"--images is called like its class. Known: {has}."
        )
    return [e for e in entries if not set(e.class_names).isdisjoint(classes)]


def measured(
    learned: LearnedTasks,
    entry: BankedTask,
    files: Mapping[str, Sequence[str]],
    largest: int,
) -> Measurement:
    """Measures a task by the images of its classes.

    Args:
        learned: `LearnedTasks`.
        entry: `BankedTask`.
        files: `{class: image files}`; classes of other tasks are left out.
        largest: Bytes that an image file may hold.

    Raises:
        UserError: If a file is no image, or the task takes none.
    """
    found = {}
    for label, name in enumerate(entry.class_names):
        paths = files.get(name, ())
        right = 0
        for first in range(0, len(paths), AT_ONCE):
            images = [
                read_like([entry], path, largest)[0]
                for path in paths[first : first + AT_ONCE]
            ]
            rows = learned.probabilities_of_each(entry, images)
            right += int(np.count_nonzero(rows.argmax(-1) == label))
        if paths:
            found[name] = (right, len(paths))
    return Measurement(entry.name, found)
