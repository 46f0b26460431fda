"""Folders of images packed into a TFDS set, and taken out of it again."""

from __future__ import annotations

import functools
import os
import pathlib
import typing

import tensorflow_datasets as tfds

from tfcl.data.sources.image_files import Source, fitted
from tfcl.data.sources.set_check import read_split, set_in
from tfcl.data_builders.image_folders.image_file import DEFAULT_RULES, Rules
from tfcl.data_builders.image_folders.image_folders_dataset_builder import (
    Builder,
    FolderConfig,
)
from tfcl.data_builders.image_folders.image_tree import (
    SPLITS,
    BadImages,
    chosen_tasks,
)
from tfcl.errors import UserError
from tfcl.types import Folder

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def package_builder(
    root: str | pathlib.Path,
    data_dir: Folder | None,
    image_size: tuple[int, int] | None,
    resize: str,
    skip_bad: bool = False,
    rules: Rules = DEFAULT_RULES,
    leave_root: bool = False,
) -> Any:
    """The TFDS builder that packs a folder of tasks.

    Args:
        root: Folder of the tasks.
        data_dir: Folder of TFDS data sets, or None for TFDS's own.
        image_size: `(height, width)` in pixels; None keeps every size.
        resize: See `Preprocessing`.
        skip_bad: Leave out files that are no images.
        rules: How files are read.
        leave_root: Whether paths of lists may lead out of `root`.

    Returns:
        A builder whose set is `<data_dir>/image_folders/<name>/1.0.0`, the
        name made of the folder's, size and way of resizing.
    """
    name = pathlib.Path(root).expanduser().resolve().name
    bad = BadImages(skip=skip_bad)
    if image_size is None:
        config = FolderConfig(
            name=f"{name}_full",
            description="Images in their own size.",
            bad=bad,
            rules=rules,
            leave_root=leave_root,
        )
    else:
        height, width = image_size
        shape = (height, width, 3)
        config = FolderConfig(
            name=f"{name}_{height}x{width}_{resize}",
            description=f"Images of {height} x {width} pixels ({resize}).",
            image_shape=shape,
            fit=functools.partial(fitted, image_shape=shape, resize=resize),
            bad=bad,
            rules=rules,
            leave_root=leave_root,
        )
    if data_dir is not None:
        data_dir = os.path.expanduser(data_dir)
    return Builder(data_dir=data_dir, config=config)


def is_package(root: str | pathlib.Path) -> bool:
    """Whether a folder is a TFDS set rather than one of tasks."""
    path = pathlib.Path(root).expanduser()
    return (path / "dataset_info.json").exists()


def packed_by(root: str | pathlib.Path, task: str, rules: Rules) -> Rules:
    """The rules by which the files of a task were read before packing.

    Packed images have 8 bits, but those that a learned task is to classify
    are read as its own were.

    Args:
        root: Folder of a set, or of tasks.
        task: Name of one of its tasks.
        rules: What holds where the set says nothing, or is none.
    """
    if not is_package(root):
        return rules
    how = set_in(root).info.metadata or {}
    white = how.get("white", {}).get(task, rules.white)
    return rules._replace(
        white=None if white is None else float(white),
        two_channels=how.get("two_channels", rules.two_channels),
    )


def open_package(
    root: str | pathlib.Path, tasks: Sequence[str] | None = None
) -> dict[str, Any]:
    """The images of a packed folder of tasks.

    Args:
        root: Folder of the set.
        tasks: Names of the tasks to take, in this order; None takes all.

    Returns:
        `{task: {split: {class: [Source]}}}`, in the order of the folder.

    Raises:
        UserError: If the set is damaged or another one.
        TreeError: If it lacks a task.
    """
    builder = set_in(root)
    if set(builder.info.features) != _FEATURES:
        raise UserError(
            f"'{root}' is the data set '{builder.name}' and not one that "
            "`python -m tfcl.build image_folders` made. Give such a "
            "folder, or a folder of tasks."
        )
    records = []
    for split in builder.info.splits:
        for record in read_split(
            builder, split, {"image": tfds.decode.SkipDecoding()}
        ):
            records.append((split, record))
    records.sort(key=lambda each: each[1]["number"])
    found = {}
    for split, record in records:
        task = found.setdefault(
            record["task"].decode(), {s: {} for s in SPLITS}
        )
        name = record["class_name"].decode()
        mine = task[split].setdefault((int(record["label"]), name), [])
        mine.append(
            Source(
                os.path.join(root, split, record["id"].decode()),
                record["image"],
                record["content"].decode(),
            )
        )
    chosen = chosen_tasks(tasks, found, root)
    return {task: _by_label(found[task]) for task in chosen}


_FEATURES = {"id", "number", "task", "class_name", "label", "content", "image"}


def _by_label(splits):
    """Classes by label instead of by first image; no empty splits."""
    return {
        split: {name: classes[label, name] for label, name in sorted(classes)}
        for split, classes in splits.items()
        if classes
    }
