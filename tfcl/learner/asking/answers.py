"""What tasks answer about images, as text, CSV or JSON lines."""

from __future__ import annotations

import abc
import csv
import json
import sys
import typing

import numpy as np
from absl import logging

from tfcl.errors import printable

if typing.TYPE_CHECKING:
    from collections.abc import Sequence

    from tfcl.engine.storage.bank import BankedTask


TEXT, CSV, JSON_LINES = "text", "csv", "jsonl"
FORMATS = (TEXT, CSV, JSON_LINES)

_NONE_CHOSEN = (
    "No --task is given: these are the answers of every task's head, each "
    "about its own classes. None of them is chosen, and probabilities of "
    "different tasks are not to be compared."
)


def best(
    entry: BankedTask, probabilities: np.ndarray, top: int
) -> list[tuple[str, float]]:
    """The most probable classes of an image, `[(name, probability), ...]`."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [(entry.class_names[k], float(probabilities[k])) for k in order]


class Answers(abc.ABC):
    """Prints the answers about one image after another.

    Args:
        top: Classes to tell per task.
        chosen: Whether a user has named the task. Otherwise a line of the log
            says what the answers are.
    """

    def __init__(self, top: int, chosen: bool):
        self._top = top
        self._chosen = chosen
        if not chosen:
            logging.info("%s", _NONE_CHOSEN)

    def write(
        self, path: str, found: Sequence[tuple[BankedTask, np.ndarray]]
    ) -> None:
        """Prints what tasks answer about an image.

        Args:
            path: Of the image.
            found: Each task with its probabilities `(classes,)`.
        """
        self.print(
            path,
            [(entry.name, best(entry, row, self._top)) for entry, row in found],
        )

    @abc.abstractmethod
    def print(
        self,
        path: str,
        answers: Sequence[tuple[str, Sequence[tuple[str, float]]]],
    ) -> None:
        """Prints `[(task, [(class, probability), ...]), ...]` of an image."""


class _Text(Answers):
    """`file: class 0.9, class 0.1`; of several tasks, a line each below."""

    def print(self, path, answers):
        if self._chosen:
            ((_, found),) = answers
            print(f"{printable(path)}: {_told(found)}")
            return
        print(printable(path))
        for task, found in answers:
            print(f"  {printable(task)}: {_told(found)}")


def _told(found):
    return ", ".join(f"{printable(name)} {part:.4f}" for name, part in found)


class _Csv(Answers):
    """A row per image, task and class; names as a terminal may show them."""

    def __init__(self, top, chosen):
        super().__init__(top, chosen)
        self._rows = csv.writer(sys.stdout, lineterminator="\n")
        self._rows.writerow(["file", "task", "rank", "class", "probability"])

    def print(self, path, answers):
        for task, found in answers:
            for rank, (name, part) in enumerate(found, 1):
                texts = map(printable, (path, task, name))
                file, task_name, class_name = texts
                self._rows.writerow(
                    [file, task_name, rank, class_name, f"{part:.6f}"]
                )


class _JsonLines(Answers):
    """An object per image and task; names as they are, in ASCII."""

    def print(self, path, answers):
        for task, found in answers:
            top = [{"class": name, "probability": p} for name, p in found]
            print(json.dumps({"file": path, "task": task, "top": top}))


def writer(form: str, top: int, chosen: bool) -> Answers:
    """The `Answers` of a format.

    Args:
        form: One of `FORMATS`.
        top, chosen: As of `Answers`.
    """
    kinds: dict[str, type] = {TEXT: _Text, CSV: _Csv, JSON_LINES: _JsonLines}
    return kinds[form](top, chosen)
