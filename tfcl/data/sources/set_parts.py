"""Training, validation and test images of any set of the catalog."""

from __future__ import annotations

import typing

import numpy as np

from tfcl.data.class_pools import ClassPools, shuffled
from tfcl.data.sources import catalog, tfds_source
from tfcl.types import Folder

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.data.lazy_images import MemoryLimits
    from tfcl.data.sources.labelled_images import LabelledImages


def open_parts(
    dataset: str,
    test_fraction: float | None,
    data_dir: Folder | None,
    shape: tuple[int, ...] | None = None,
    resize: str = "stretch",
    own_validation: bool = False,
    memory: MemoryLimits | None = None,
) -> list[LabelledImages]:
    """`LabelledImages` of the training and of the test part, or one.

    Args:
        dataset: Name in the catalog.
        test_fraction: Must be given for a set that has one part alone.
        data_dir: Folder of prepared TFDS data sets.
        shape: As of `tfds_source.open_split`.
        resize: Likewise.
        own_validation: Puts the set's own validation part between the two.
        memory: As of `tfds_source.open_split`.

    Raises:
        UserError: If the set is unknown or cannot be opened.
        ValueError: If `test_fraction` is missing, or the set has no such
            validation part.
    """
    source = catalog.find(dataset)
    if source.test_split is None and test_fraction is None:
        raise ValueError(
            f"Argument `test_fraction` must be given for '{dataset}', which "
            "has one part alone: it says which part of each class is for "
            f"tests. Received: test_fraction={test_fraction}"
        )
    parts: tuple[str, ...]
    parts = ("train",) if source.test_split is None else ("train", "test")
    if own_validation:
        if None in (source.test_split, source.validation_split):
            raise ValueError(
                "Argument `selection_split`='own' needs data sets that come "
                f"with a validation and a test part; '{dataset}' does not: "
                "use 'validation'. Received: selection_split='own'"
            )
        parts = ("train", "validation", "test")
    return [
        tfds_source.open_split(
            dataset, part, data_dir, shape, resize, memory=memory
        )
        for part in parts
    ]


def pools_of(
    parts: Sequence[LabelledImages],
    held_out: float | None,
    test_fraction: float | None,
    data_seed: int | None,
    remedies: tuple[str, str],
) -> ClassPools:
    """The `ClassPools` of a set.

    Args:
        parts: As `open_parts` returns them.
        held_out: Part of a class's training images for validation; None
            selects on the test images.
        test_fraction: Part of a class's images for tests, of one part.
        data_seed: Seed of the shuffling.
        remedies: See `ClassPools`.
    """
    if len(parts) == 1:
        return _cut(parts[0], held_out, test_fraction, data_seed, remedies)
    if len(parts) == 3:
        train, validation, test = parts
        return ClassPools.given(train, validation, test, data_seed, remedies)
    train, test = parts
    if held_out is None:
        return ClassPools.selected_on_test(train, test, data_seed, remedies)
    return ClassPools.held_out(train, test, held_out, data_seed, remedies)


def _cut(source, held_out, test_fraction, data_seed, remedies):
    """Three pools out of the only part of a set."""
    pools = {}
    for label in range(len(source.class_names)):
        mine = shuffled(source, label, data_seed)
        count = int(len(mine) * test_fraction)
        tested, rest = mine[:count], mine[count:]
        if held_out is None:
            pools[label] = (rest, tested, tested)
            continue
        count = int(len(rest) * held_out)
        pools[label] = (rest[count:], rest[:count], tested)
    return ClassPools((source,) * 3, pools, remedies)


def classes_with_images(parts: Any) -> Any:
    """Classes of which a set has an image to train on, ascending."""
    return np.unique(parts[0].labels)
