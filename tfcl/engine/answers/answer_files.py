"""The folder `answers/` of a run: what tasks answered, checked when read."""

from __future__ import annotations

import hashlib
import json
import pathlib
import typing

import numpy as np

from tfcl.engine.storage.npz import from_npz, to_npz
from tfcl.errors import RunError
from tfcl.files import cannot, write_atomically
from tfcl.reporting.answers.answers import Answers, VisitAnswers

if typing.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tfcl.engine.storage.bank import Bank


LEARNED, END = "learned", "end"
_FACTS = "facts"


class StoredAnswers(typing.NamedTuple):
    """What a file holds.

    Attributes:
        digest: Of the variables that the answers depend on,
            `Evaluator.activated`.
        visits: Visits that had ended.
        answers: `Answers`; None in a file of the end if the digest is that
            of the file of the task when it was learned.
    """

    digest: str
    visits: int
    answers: Answers | None


class AnswerFiles:
    """Folder `model_dir/answers` with two files per visit of a task.

    `003_flowers_learned.npz` has the answers when the visit had ended,
    `003_flowers_end.npz` those at the end of the run. Arrays: `labels`,
    `given`, `scores`; `image_rows`, `image_ends` and `image_bytes`, the
    encoded images of a few examples one after another; `facts`, JSON with a
    checksum of all of them. A file appears by one rename.

    Args:
        folder: `model_dir/answers`.
        writes: False on workers other than the chief.
        first_names: As of `Bank`.
    """

    def __init__(
        self,
        folder: str | pathlib.Path,
        writes: bool = True,
        first_names: Mapping[int, str] | None = None,
    ):
        self.folder = pathlib.Path(folder)
        self.writes = writes
        self.first_names = first_names or {}

    @classmethod
    def beside(cls, bank: Bank) -> AnswerFiles:
        """Those of the run that a `Bank` belongs to."""
        folder = bank.folder.with_name("answers")
        return cls(folder, bank.writes, bank.first_names)

    def write(
        self, visit: int, name: str, moment: str, found: StoredAnswers
    ) -> None:
        """Writes a file, in place of what it held.

        Args:
            visit: Number of the visit.
            name: Of the task.
            moment: `LEARNED` or `END`.
            found: `StoredAnswers`.

        Raises:
            RunError: If the file cannot be written.
        """
        path = self._path(visit, name, moment)
        try:
            content = _packed(self._name(visit, name), found)
            write_atomically(path, content)
        except OSError as error:
            raise cannot(
                f"write the answers of task '{name}' to {path}", error
            ) from error

    def read(self, visit: int, name: str, moment: str) -> StoredAnswers | None:
        """The content of a file, None if there is none.

        Raises:
            RunError: If it is damaged.
        """
        path = self._path(visit, name, moment)
        try:
            return _unpacked(self._name(visit, name), path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise RunError(
                f"The answers of task '{name}' cannot be read from {path}: "
                f"{error}. Restore the file from a copy, or delete it: "
                "reports then go without."
            ) from error

    def of_visit(
        self, visit: int, name: str, visits: int
    ) -> tuple[VisitAnswers, list[str]]:
        """All that is known of a visit's task, and what is damaged.

        Args:
            visit: Number of the visit.
            name: Of the task.
            visits: Visits that have ended; later answers do not count.
        """
        found: dict[str, StoredAnswers | None] = {}
        lost = []
        for moment in (LEARNED, END):
            try:
                found[moment] = self.read(visit, name, moment)
            except RunError as error:
                found[moment] = None
                lost.append(str(error))
        when, end = found[LEARNED], found[END]
        learned = None if when is None else when.answers
        if end is None or end.visits > visits:
            return VisitAnswers(learned), lost
        return VisitAnswers(learned, end.answers or learned), lost

    def _name(self, visit, name):
        return self.first_names.get(visit, name)

    def _path(self, visit, name, moment):
        file = f"{visit:03d}_{self._name(visit, name)}_{moment}.npz"
        return self.folder / file


def _packed(name, found):
    arrays: dict[str, np.ndarray] = {}
    if found.answers is not None:
        arrays = dict(_arrays(found.answers))
    facts = {
        "task": name,
        "digest": found.digest,
        "visits": found.visits,
        "without_images": found.answers and found.answers.without_images,
        "sha256": _checksum(arrays),
    }
    text = json.dumps(facts).encode()
    return to_npz({**arrays, _FACTS: np.frombuffer(text, np.uint8)})


def _arrays(answers: Answers) -> Iterator[tuple[str, np.ndarray]]:
    classes = max(answers.labels.max(), answers.given.max(), 0)
    kind = np.uint16 if classes < 2**16 else np.uint32
    yield "labels", answers.labels.astype(kind)
    yield "given", answers.given.astype(kind)
    yield "scores", answers.scores.astype(np.float32)
    images = list(answers.images.values())
    yield "image_rows", np.array(list(answers.images), np.int32)
    yield "image_ends", np.cumsum([len(each) for each in images], dtype=int)
    yield "image_bytes", np.frombuffer(b"".join(images), np.uint8)


def _unpacked(name, content):
    arrays = from_npz(content)
    facts = json.loads(arrays.pop(_FACTS).tobytes())
    if facts["task"] != name:
        raise ValueError(f"it holds task '{facts['task']}'")
    if facts["sha256"] != _checksum(arrays):
        raise ValueError("its checksum is wrong")
    return StoredAnswers(
        facts["digest"], facts["visits"], _answers(arrays, facts)
    )


def _answers(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]):
    if not arrays:
        return None
    parts = np.split(arrays["image_bytes"], arrays["image_ends"])
    rows = arrays["image_rows"].tolist()
    return Answers(
        arrays["labels"],
        arrays["given"],
        arrays["scores"],
        {row: part.tobytes() for row, part in zip(rows, parts)},
        facts["without_images"],
        facts["visits"],
    )


def _checksum(arrays):
    sha = hashlib.sha256()
    for name, array in arrays.items():
        sha.update(f"{name} {array.dtype} {array.shape}".encode())
        sha.update(np.ascontiguousarray(array))
    return sha.hexdigest()
