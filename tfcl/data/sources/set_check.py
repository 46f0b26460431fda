"""Reads a prepared TFDS data set from end to end."""

from __future__ import annotations

import os
import pathlib
import typing

import tensorflow as tf
import tensorflow_datasets as tfds

from tfcl.data.sources import prepared_sets
from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def set_in(folder: str | pathlib.Path) -> Any:
    """The TFDS builder of a set, from its folder alone.

    Raises:
        UserError: If the folder holds no set or its description is damaged.
    """
    path = pathlib.Path(folder).expanduser()
    if not (path / "dataset_info.json").exists():
        raise UserError(
            f"'{folder}' holds no prepared data set (no dataset_info.json). "
            "Build it with: python -m tfcl.build."
        )
    try:
        builder = tfds.builder_from_directory(path)
        for split in builder.info.splits.values():
            # Made from a pattern in the description: fails if that is damaged.
            _ = split.filepaths
    except Exception as error:  # Whatever the damaged text leads TFDS to.
        raise damaged(
            path,
            path / "dataset_info.json",
            f"cannot be used ({prepared_sets.brief(error)})",
        ) from error
    return builder


def read_split(
    builder: Any, split: str, decoders: Any | None = None
) -> Iterator[Any]:
    """All records of a split, in the order of the files.

    Args:
        builder: TFDS builder of a prepared set.
        split: Name of the split.
        decoders: As `builder.as_dataset` takes them.

    Yields:
        `{feature: value}` in NumPy types.

    Raises:
        UserError: If a file is missing, cut, damaged or unreadable, an image
            cannot be decoded, or there are more or fewer records than the
            set's description says.
    """
    expected = builder.info.splits[split].num_examples
    config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    count = 0
    try:
        dataset = builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders=decoders,
            read_config=config,
        )
        for record in dataset.as_numpy_iterator():
            yield record
            count += 1
    except tf.errors.OpError as error:
        path, fault = prepared_sets.damage(builder, split)
        if os.fspath(path).endswith("dataset_info.json"):
            # The files are whole, so it is what a record holds.
            path = builder.info.splits[split].filepaths[0]
            fault = (
                f"and its fellows: record {count} of split '{split}' cannot "
                f"be decoded ({type(error).__name__})"
            )
        raise damaged(builder.data_dir, path, fault) from error
    if count != expected:
        raise damaged(
            builder.data_dir,
            pathlib.Path(builder.data_dir) / "dataset_info.json",
            f"tells of {expected} records in split '{split}', the files hold "
            f"{count}",
        )


def damaged(
    folder: str | pathlib.Path, path: str | pathlib.Path, fault: str
) -> UserError:
    """The `UserError` for a file of a prepared data set."""
    return UserError(
        f"File '{os.fspath(path)}' {fault}. Delete the folder '{folder}' and "
        "build it again, or use a whole copy."
    )
