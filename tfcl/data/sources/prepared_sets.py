"""Data sets that TFDS has prepared, or is to: places, damage, error texts."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import typing

import filelock
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging
from google.protobuf import json_format
from tensorflow_datasets.core.download import download_manager, extractor

from tfcl import files
from tfcl.errors import UserError
from tfcl.types import Folder

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator
    from typing import Any


# What TFDS raises for description files it cannot use (ValueError and
# AssertionError: names, splits or versions that contradict each other).
_DESCRIPTION_ERRORS = (
    OSError,
    ValueError,
    AssertionError,
    json_format.ParseError,
)
# What a preparation raises: no network (requests' errors are OSErrors), a full
# disk (TFDS turns TF's error into a RuntimeError), a wrong checksum or archive,
# an empty manual_dir (AssertionError).
PREPARE_ERRORS = (
    OSError,
    AssertionError,
    RuntimeError,
    tf.errors.OpError,
    tfds.download.DownloadError,
    download_manager.NonMatchingChecksumError,
    extractor.ExtractError,
)


@dataclasses.dataclass(frozen=True)
class Place:
    """A split as the user asked for it, to be named in messages.

    Args:
        name: Of the data set, as in the catalog.
        split: "train" or "test".
        data_dir: Folder of TFDS data sets as the user wrote it, or None for
            TFDS's own.
    """

    name: str
    split: str
    data_dir: Folder | None
    elsewhere = "point --data_dir or TFDS_DATA_DIR to a whole copy"

    def __str__(self):
        return f"Data set '{self.name}', split '{self.split}'"

    @property
    def root(self) -> str | None:
        """`data_dir` as TFDS needs it: it does not expand `~` itself."""
        if not self.data_dir:
            return None
        return os.path.expanduser(self.data_dir)

    def shown(self, path: str | pathlib.Path) -> str:
        """`path`, a file of TFDS, below `data_dir` as the user wrote it."""
        path = os.fspath(path)
        if not self.data_dir:
            return path
        return os.path.join(self.data_dir, os.path.relpath(path, self.root))

    def damaged(self, path: str | pathlib.Path, fault: str) -> UserError:
        """The error for a file inside a prepared data set's folder."""
        folder = os.path.dirname(path)
        return UserError(
            f"{self}: file '{self.shown(path)}' {fault}. Delete the folder "
            f"'{self.shown(folder)}' and run again, or {self.elsewhere}."
        )


def make_builder(source: Any, place: Place) -> Any:
    """The TFDS builder of a data set, prepared or not.

    Args:
        source: `catalog.DataSource`.
        place: `Place`.

    Raises:
        UserError: If the description of a prepared set is damaged.
        ImportError: If the builder needs a package that is not installed.
    """
    name, _, config = source.builder.partition("/")
    if source.module is None:
        cls = tfds.builder_cls(name)
    else:
        cls = importlib.import_module(source.module).Builder
    try:
        builder = cls(data_dir=place.root, config=config or None)
        for split in builder.info.splits.values():
            # Made from a pattern in the description: fails if that is damaged.
            _ = split.filepaths
    except _DESCRIPTION_ERRORS as error:
        root = place.root or tfds.core.constants.DATA_DIR
        folder = os.path.join(root, source.builder, str(cls.VERSION))
        raise place.damaged(
            description(folder), f"cannot be used ({brief(error)})"
        ) from error
    return builder


def description(folder: str | pathlib.Path) -> str:
    """The file in which TFDS describes a prepared set."""
    return os.path.join(folder, "dataset_info.json")


def release_size(builder: Any, split: str) -> int | None:
    """Examples of a split in the owners' release, None if not known."""
    counts = getattr(builder, "COUNTS", {})
    if builder.builder_config is not None:
        counts = counts.get(builder.builder_config.name, counts)
    size = counts.get(split)
    return size if isinstance(size, int) else None


@contextlib.contextmanager
def only_one(builder: Any) -> Iterator[None]:
    """Keeps other processes from preparing the same data set meanwhile.

    A context manager: waits for the other process at its begin.
    """
    folder = builder.data_path.parent
    if "://" in os.fspath(folder):
        # Object stores have no locks; TFDS still renames when complete.
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".{builder.version}.lock"
    try:
        held = files.lock(path, wait=False)
    except filelock.Timeout as error:
        logging.info(
            "Waiting: another process prepares %s and holds %s.",
            builder.name,
            error.lock_file,
        )
        held = files.lock(path, wait=True)
    try:
        yield
    finally:
        held.release()


def damage(builder: Any, tfds_split: str) -> tuple[str, str]:
    """(file, what is wrong with it) of a split that could not be read.

    Args:
        builder: TFDS builder of a prepared set.
        tfds_split: Name of the split.
    """
    info = builder.info.splits[tfds_split]
    for path, expected in zip(info.filepaths, info.shard_lengths):
        path = os.fspath(path)
        if not tf.io.gfile.exists(path):
            return path, "is missing"
        if ".tfrecord" not in path:
            continue
        try:
            records = tf.data.TFRecordDataset(path)
            found = int(records.reduce(np.int64(0), lambda n, _: n + 1))
        except tf.errors.OpError as error:
            return path, f"is damaged or unreadable ({type(error).__name__})"
        if found != expected:
            return path, f"holds {found} records where {expected} are expected"
    return description(builder.data_dir), "does not fit the split's files"


def class_names(builder: Any, place: Place, label_key: str) -> tuple[str, ...]:
    """The names of the classes, checked against their file.

    TFDS passes in silence over a file of names that is damaged, and then
    gives numbers or too few names.

    Args:
        builder: TFDS builder of a prepared set.
        place: `Place`, for messages.
        label_key: Feature that holds the class index.

    Returns:
        Tuple of texts, by class index.

    Raises:
        UserError: If the file cannot be read or holds other names.
    """
    feature = builder.info.features[label_key]
    path = builder.data_path / f"{label_key}.labels.txt"
    if not path.exists():
        # TFDS writes none for classes without names: theirs are "0", "1", ....
        return tuple(feature.names)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise place.damaged(path, f"cannot be used ({brief(error)})") from error
    names = [line.strip() for line in lines if line.strip()]
    if names != list(feature.names) or len(names) != feature.num_classes:
        raise place.damaged(
            path, f"does not hold the {feature.num_classes} class names"
        )
    return tuple(names)


def brief(error: BaseException, length: int = 120) -> str:
    """Kind and first line of an error, at most `length` characters of it."""
    cause = error.__cause__
    # TFDS wraps the system's error; "Permission denied" is the useful part.
    if isinstance(cause, (OSError, tf.errors.OpError)):
        error = cause
    text = getattr(error, "strerror", None) or str(error)
    if isinstance(error, tf.errors.OpError):
        # "<path>; No space left on device".
        text = error.message.rsplit("; ", 1)[-1]
    line = (text.strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {line[:length].rstrip(' .:(')}"
