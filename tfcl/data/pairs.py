"""Pairs of images: do they show the same person?"""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

from tfcl import randomness
from tfcl.data.sources import tfds_source
from tfcl.data.split import Split
from tfcl.errors import UserError
from tfcl.types import Folder

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.lazy_images import MemoryLimits
    from tfcl.data.task import Task
    from tfcl.types import Shape


@dataclasses.dataclass(frozen=True, eq=False)
class PairSplit(Split):
    """A split to measure verification by; nothing is trained on it.

    Rows 2 i and 2 i + 1 are the images of pair i; both carry its label, 1
    if they show the same person, else 0.

    Args:
        folds: Folds of the protocol, contiguous, see
            `tfcl.metrics.verification`.

    Raises:
        ValueError: If the rows are no pairs.
    """

    folds: int = 10

    def __post_init__(self):
        super().__post_init__()
        same = self.labels
        even = len(same) % 2 == 0
        if not even or (same[::2] != same[1::2]).any() or set(same) - {0, 1}:
            raise ValueError(
                "Argument `labels` must hold 0 or 1, the same for both "
                f"images of a pair. Received: {len(same)} labels, values "
                f"{np.unique(same).tolist()}"
            )
        if not 2 <= self.folds <= len(same) // 2:
            raise ValueError(
                "Argument `folds` must be at least 2 and at most the number "
                f"of pairs. Received: folds={self.folds}, {len(same) // 2} "
                "pairs"
            )

    @property
    def same(self) -> np.ndarray:
        """Whether each pair shows one person, booleans `(pairs,)`."""
        return self.labels[::2] == 1


def drawn_pairs(
    labels: np.ndarray, per_class: int, seed: int, *key
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of images of labelled persons.

    Each person with at least two images gives up to `per_class` pairs of
    its own and as many with a random other person; equal and different pairs
    alternate, so that contiguous folds hold both.

    Args:
        labels: Person of each image, `(n,)` integers.
        per_class: Pairs of each kind per person.
        seed, key: What the draw depends on.

    Returns:
        Indices `(2 pairs,)` and labels `(2 pairs,)`, as of a `PairSplit`.

    Raises:
        UserError: If there are fewer than two persons with two images.
    """
    labels = np.asarray(labels)
    generator = randomness.generator(seed, "pairs", *key)
    persons, counts = np.unique(labels, return_counts=True)
    persons = persons[counts >= 2]
    if len(persons) < 2:
        raise UserError(
            "Pairs of persons need at least two persons with two images "
            f"each; {len(persons)} have. Hold out a larger part for "
            "validation (dataset_stream.validation_fraction)."
        )
    mine = {
        person: generator.permutation(np.flatnonzero(labels == person))
        for person in persons
    }
    rows = []
    for person in generator.permutation(persons):
        images = mine[person]
        for number in range(min(per_class, len(images) // 2)):
            pair = images[2 * number : 2 * number + 2]
            step = 1 + generator.integers(len(persons) - 1)
            others = mine[_after(persons, person, step)]
            rows += [*pair, pair[0], others[generator.integers(len(others))]]
    return np.array(rows), np.tile([1, 1, 0, 0], len(rows) // 4)


def measured_by_pairs(
    task: Task, pairs: Any, pairs_per_class: int | None, seed: int
) -> Task:
    """A task whose held-out splits tell persons apart.

    Args:
        task: `Task` whose classes are persons.
        pairs: What `open_pairs` has opened, for tests.
        pairs_per_class: Of the validation images, see `drawn_pairs`; None
            validates on the test pairs.
        seed: Of the draw.
    """
    images, labels = pairs
    old = task.test
    test = PairSplit(images, labels, old.mean, old.std, scale=old.scale)
    validation = test
    if pairs_per_class is not None:
        rows, same = drawn_pairs(
            task.validation.labels, pairs_per_class, seed, task.name
        )
        drawn = task.validation.taken(rows)
        validation = PairSplit(
            drawn.images, same, drawn.mean, drawn.std, scale=drawn.scale
        )
    return dataclasses.replace(task, validation=validation, test=test)


def open_pairs(
    name: str,
    data_dir: Folder | None,
    image_shape: Shape,
    resize: str,
    memory: MemoryLimits | None = None,
) -> Any:
    """Images and labels of a prepared set of pairs, as of a `PairSplit`.

    Args:
        name: In `tfcl.data.sources.catalog`; examples hold "image_1",
            "image_2" and whether both show one person.
        data_dir, image_shape, resize, memory: As of `tfds_source.open_split`.
    """
    known = (name, "test", data_dir, image_shape, resize)
    both = [
        tfds_source.open_split(*known, key, memory)
        for key in ("image_1", "image_2")
    ]
    order = np.arange(len(both[0]))
    images = np.stack([part.images(order) for part in both], axis=1)
    images = images.reshape(-1, *images.shape[2:])
    return images, np.repeat(both[0].labels, 2)


def _after(persons, person, step):
    place = np.searchsorted(persons, person)
    return persons[(place + step) % len(persons)]
