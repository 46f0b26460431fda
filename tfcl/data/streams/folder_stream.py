"""A user's own images as a stream: one folder per task."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Annotated

import gin
from absl import logging

from tfcl.arguments import PositiveInt, checked, one_of, within
from tfcl.data.lazy_images import HeldTasks, MemoryLimits
from tfcl.data.preprocessing import RESIZES
from tfcl.data.sources import folder_package
from tfcl.data.sources.folder_files import known_files
from tfcl.data.sources.image_files import Source
from tfcl.data.sources.task_images import TaskImages
from tfcl.data.task import TaskStream, check_task_names
from tfcl.data.task_assembly import (
    Statistics,
    assemble_task,
    checked_statistics,
)
from tfcl.data_builders.image_folders import image_tree
from tfcl.data_builders.image_folders.image_file import Rules
from tfcl.data_builders.regular_files import LARGEST
from tfcl.errors import UserError, printable
from tfcl.files import local_path
from tfcl.types import Folder


@gin.configurable(denylist=["data_dir"])
@checked
def folder_stream(
    root: str = gin.REQUIRED,
    image_size: int | Sequence = gin.REQUIRED,
    tasks: Sequence | None = None,
    resize: Annotated[str, one_of(*RESIZES)] = "stretch",
    channels: Annotated[int, one_of(1, 3)] = 3,
    validation_fraction: Annotated[float, within("(0, 1)")] = 0.15,
    test_fraction: Annotated[float, within("(0, 1)")] = 0.2,
    statistics: Statistics = "train",
    on_bad_image: Annotated[str, one_of("error", "skip")] = "error",
    in_memory: bool = True,
    data_seed: int = 0,
    white: Annotated[float, within("(0, inf)")] | None = None,
    two_channels: Annotated[str, one_of("error", "grey")] = "error",
    largest_file: PositiveInt = LARGEST,
    lists_may_leave_root: bool = False,
    batch_size: PositiveInt = 16,
    memory: MemoryLimits | None = None,
    data_dir: Folder | None = None,
) -> TaskStream:
    """Tasks out of folders of images; no code, no list of classes.

    `root` holds a folder per task, and that

    - `{train,validation,test}/<class>/*.jpg`, or
    - `<class>/*.jpg`, or
    - `train.txt` (`validation.txt`, `test.txt`) with lines `path label`.

    Images are .jpg, .jpeg, .png, .webp, .bmp, .gif, .tif or .tiff of any size
    and kind (`tfcl.data_builders.image_folders.image_file.decode`). Labels
    follow the sorted names of the classes. Validation or test images, where
    the user gives none, are cut from the training images of each class: of n
    different ones `max(1, floor(n * fraction))`, drawn by `data_seed`.

    A run that is to go on with more tasks later should name them in `tasks`,
    the learned ones first; by name, a new task may come between old ones.

    Args:
        root: Folder of the tasks, or folder of such a folder's TFDS set
            (`python -m tfcl.build image_folders`).
        image_size: Height and width of the network's input, in pixels; a
            number or a pair.
        tasks: Names of the tasks to learn, in this order. None takes all by
            name.
        resize: "stretch" to `image_size`, or "crop": keep the proportions and
            cut to the middle, both bicubic; "bilinear" stretches, too;
            "centre_crop" leaves out a border (`tfcl.data.preprocessing`). All
            with antialiasing. Learned tasks treat the images that they
            classify alike.
        channels: 3, or 1 for grey.
        validation_fraction: Part of a class's training images to cut for
            validation, between 0 and 1.
        test_fraction: The same for test.
        statistics: "train" standardises per channel by mean and deviation of
            the task's training images, "split" each split by its own,
            "none" leaves pixels between 0 and 1, a pair `(mean, std)` gives
            constants in the unit of pixels / 255, each a number or one per
            channel.
        on_bad_image: "error" stops at a file that is no image, or that is
            in two splits; "skip" leaves it out and warns with the count.
        in_memory: Hold images decoded, 1 byte per pixel and channel, as far
            as `memory` allows. False decodes all each time they are needed.
        data_seed: Seed of the cut.
        white: The number that is white in images of more than 8 bits, such as
            4095 for 12 bits in 16-bit files. None decides it for each task by
            its largest number, says so and warns if that is odd
            (`tfcl.data_builders.image_folders.white_point`). Learned tasks
            treat the images that they classify alike.
        two_channels: "error" takes files of two channels for bad images:
            grey, and what may be opacity or data; "grey" takes the first.
        largest_file: Bytes that a file may hold; larger ones are bad images,
            as pipes and devices are.
        lists_may_leave_root: Whether paths in lists may lead out of `root`.
        batch_size: Examples per training step over all replicas; a task with
            fewer training images takes them all in every step.
        memory: `MemoryLimits` of decoded images; None for its defaults.
        data_dir: Accepted like every stream's, not needed.

    Returns:
        A `TaskStream`, named like the folder, of uint8 images
        `(height, width, channels)`.

    Raises:
        UserError: If a folder or a file cannot be used; says which and why.
        ValueError: If an argument breaks its rule.
    """
    del data_dir
    root = local_path(root, "folder_stream.root")
    image_shape = (*_size(image_size), channels)
    parts = {"validation": validation_fraction, "test": test_fraction}
    _check(parts)
    statistics = checked_statistics(statistics, channels)
    bad = image_tree.BadImages(skip=on_bad_image == "skip")
    open_task = functools.partial(
        TaskImages,
        image_shape=image_shape,
        resize=resize,
        bad=bad,
        rules=Rules(largest_file, white, two_channels),
    )
    try:
        found = _found(root, bad, tasks, lists_may_leave_root)
        check_task_names(_name_of(root), list(found))  # Before all is read.
        cut = (parts, data_seed, HeldTasks(memory), in_memory)
        made = _tasks(root, found, open_task, cut, statistics, resize)
    except image_tree.TreeError as error:
        raise UserError(str(error)) from error
    _tell_of_skipped(bad.skipped)
    return TaskStream(_name_of(root), made, batch_size)


def _tasks(root, found, open_task, cut, statistics, resize):
    made = []
    parts, seed, held, in_memory = cut
    for name, pools in found.items():
        logging.info("Reading the images of task '%s'.", name)
        images = open_task(name, pools)
        now, largest = held.next(in_memory)
        splits, class_names = images.splits(parts, seed, now, largest)
        held.add(splits)
        task = assemble_task(
            len(made), name, class_names, splits, statistics, made, resize
        )
        rules = folder_package.packed_by(root, name, images.rules)
        made.append(_as_read(task, rules, known_files(root, images.found)))
    return made


def _as_read(task, rules, files):
    """A task that says what files it has, and how they were read."""
    preprocessing = dataclasses.replace(
        task.preprocessing, white=rules.white, two_channels=rules.two_channels
    )
    return dataclasses.replace(task, preprocessing=preprocessing, files=files)


def _tell_of_skipped(files):
    if files:
        logging.warning(
            "Left out %d file(s), the first: '%s' %s.", len(files), *files[0]
        )


def _name_of(root):
    path = pathlib.Path(root).expanduser().resolve()
    if folder_package.is_package(root):
        path = path.parent  # Above the folder of the version.
    # Any bytes may be in it, and it is written into results.
    return printable(path.name) or "folders"


def _found(root, bad, tasks, leave_root):
    """`{task: {split: {class: [Source]}}}` of a tree or of its TFDS set."""
    if folder_package.is_package(root):
        return folder_package.open_package(root, tasks)
    trees = image_tree.find_images(root, bad, tasks, leave_root)
    return {
        task: {
            split: {
                name: [Source(str(path), path) for path in paths]
                for name, paths in classes.items()
            }
            for split, classes in splits.items()
        }
        for task, splits in trees.items()
    }


def _size(image_size):
    size = (image_size,) * 2 if isinstance(image_size, int) else image_size
    if len(size) != 2 or not all(isinstance(n, int) and n >= 1 for n in size):
        raise ValueError(
            "Argument `image_size` must be a positive number of pixels, or a "
            f"pair (height, width). Received: image_size={image_size!r}"
        )
    return tuple(size)


def _check(parts):
    if sum(parts.values()) >= 1.0:
        raise ValueError(
            "Arguments `validation_fraction` and `test_fraction` must leave "
            "something to learn from: their sum must be below 1. Received: "
            f"validation_fraction={parts['validation']}, "
            f"test_fraction={parts['test']}"
        )
