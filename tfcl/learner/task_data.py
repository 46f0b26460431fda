"""A user's `Task` with its data: splits cut, images in one shape."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import pathlib
import typing

import numpy as np

from tfcl.data.sources import catalog
from tfcl.data.sources.folder_splits import FolderSplits
from tfcl.data.sources.image_files import Source
from tfcl.data.streams.dataset_stream import dataset_stream
from tfcl.data.streams.folder_stream import folder_stream
from tfcl.data.task import Task as OpenTask
from tfcl.data.task import check_task_names
from tfcl.data.task_assembly import assemble_task
from tfcl.data_builders.image_folders.tree_faults import BadImages
from tfcl.errors import UserError
from tfcl.files import local_path
from tfcl.learner.arrays import class_numbers, labelled_images
from tfcl.learner.readings import Reading

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfcl.learner.kept_tasks import KeptTasks
    from tfcl.learner.task import Task
    from tfcl.types import Folder


_PARTS = ("train", "validation", "test")


def opened(
    task: Task, reading: Reading, data_dir: Folder | None = None
) -> OpenTask:
    """The task with its data, as the first one of a stream.

    Args:
        task: `Task`.
        reading: `Reading`.
        data_dir: Folder of prepared TFDS data sets.

    Raises:
        UserError: If the data cannot be used; says which and why.
    """
    try:
        check_task_names("learner", [task.name])
    except ValueError as error:
        raise UserError(str(error)) from error
    if not isinstance(task.train, (str, os.PathLike)):
        return _of_arrays(task, reading)
    if task.test is not None or task.validation is not None:
        raise UserError(
            f"Task '{task.name}': a folder or a data set brings its own parts, "
            "so give `train` alone; a folder may hold train/, validation/ and "
            "test/."
        )
    found = _of_path(task, reading, data_dir)
    if task.class_names is None:
        return found
    if len(task.class_names) != found.num_classes:
        raise UserError(
            f"Task '{task.name}': class_names must name {found.num_classes} "
            f"classes ({', '.join(found.class_names)}). Received: "
            f"{len(task.class_names)}"
        )
    return dataclasses.replace(found, class_names=tuple(task.class_names))


def openers(
    given: Mapping[str, Task], kept: KeptTasks, data_dir: Folder | None
) -> dict[str, Callable[[], OpenTask]]:
    """What opens learned tasks with their data, for methods that need them.

    Args:
        given: Tasks that a program has given, by name.
        kept: `KeptTasks`, which knows how they were read.
        data_dir: As of `opened`.
    """
    return {
        name: functools.partial(
            opened, task, Reading.from_json(kept.reading(name)), data_dir
        )
        for name, task in given.items()
        if name in kept.names
    }


def is_folder(task: Task) -> bool:
    """Whether a task is given as a folder of images."""
    given = task.train
    return isinstance(given, (str, os.PathLike)) and os.path.isdir(
        local_path(os.fspath(given), "Task.train")
    )


def _of_path(task, reading, data_dir):
    height, width, channels = reading.image_shape
    options = {
        "channels": channels,
        "resize": reading.resize,
        "statistics": reading.statistics,
        "validation_fraction": reading.validation_fraction,
        "data_seed": reading.data_seed,
        "batch_size": reading.batch_size,
    }
    if is_folder(task):
        path = pathlib.Path(local_path(task.train, "Task.train")).resolve()
        stream = folder_stream(
            root=str(path.parent),
            tasks=[path.name],
            image_size=(height, width),
            test_fraction=reading.test_fraction,
            **options,
        )
        return dataclasses.replace(stream.tasks[0], name=task.name)
    try:
        source = catalog.find(os.fspath(task.train))
    except UserError as error:
        raise UserError(
            f"Task '{task.name}': train='{task.train}' is no folder, and no "
            f"data set either. {error}"
        ) from error
    if height != width:
        raise UserError(
            f"Task '{task.name}': images of data sets are square. Received: "
            f"image_size={(height, width)}"
        )
    if source.test_split is None:
        options["test_fraction"] = reading.test_fraction
    stream = dataset_stream(
        datasets=[os.fspath(task.train)],
        task_names=[task.name],
        image_size=height,
        data_dir=data_dir,
        **options,
    )
    return stream.tasks[0]


def _of_arrays(task, reading):
    found, labels = {}, {}
    for part in _PARTS:
        examples = getattr(task, part)
        if examples is None:
            continue
        where = f"Task '{task.name}', {part}"
        found[part], labels[part] = labelled_images(
            examples, where, reading.image_shape, reading.resize
        )
    numbers, names = class_numbers(
        list(labels.values()), task.class_names, f"Task '{task.name}'"
    )
    given = dict(zip(labels, numbers))
    splits = _cut(task.name, found, given, names, reading)
    return assemble_task(
        0, task.name, names, splits, reading.statistics, (), reading.resize
    )


def _cut(name, images, labels, class_names, reading):
    """`(images, labels)` of the three parts; missing ones are cut."""
    pixels = np.concatenate(list(images.values()))
    number = np.concatenate(list(labels.values()))
    pools, first = {}, 0
    for part, mine in labels.items():
        places = np.arange(first, first + len(mine))
        pools[part] = {
            each: places[mine == k].tolist()
            for k, each in enumerate(class_names)
        }
        first += len(mine)
    sources = [Source(f"image {k}", b"") for k in range(len(pixels))]
    digests = [hashlib.sha256(each).hexdigest() for each in pixels]
    cut = FolderSplits(name, sources, digests, pools, BadImages(skip=True))
    fractions = {
        "validation": reading.validation_fraction,
        "test": reading.test_fraction,
    }
    cut.complete(fractions, reading.data_seed)
    result = []
    for indices, mine in cut.chosen():
        assert (number[indices] == mine).all()
        result.append((pixels[indices], mine))
    return result
