"""The 53 tasks of CLR in the order in which it learns them."""

import csv
import io
import pathlib
import re
from typing import NamedTuple


class Task(NamedTuple):
    """One task of the SKILL collection.

    Args:
        id: Its `dataset_id` in the collection's database.
        name: Its name there.
        classes: Number of classes.
        train: Training images that CLR samples.
        validation: Validation images that CLR samples, and tests on.
    """

    id: int
    name: str
    classes: int
    train: int
    validation: int

    @property
    def plain_name(self):
        """The name in small letters, digits and underscores."""
        return re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_")


def _read():
    text = (pathlib.Path(__file__).parent / "tasks.tsv").read_text()
    rows = csv.DictReader(io.StringIO(text), delimiter="\t")
    return tuple(
        Task(
            int(row["id"]),
            row["name"],
            *(int(row[k]) for k in ("classes", "train", "validation")),
        )
        for row in rows
    )


TASKS = _read()
