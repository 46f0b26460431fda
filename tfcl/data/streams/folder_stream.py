"""A user's own images as a stream: one folder per task."""

import contextlib
import pathlib
from collections.abc import Sequence
from typing import Annotated

import gin
import numpy as np
from absl import logging

from data_builders.image_folders import image_tree
from tfcl.arguments import PositiveInt, checked, one_of, within
from tfcl.data.lazy_images import (
    LARGEST_IN_MEMORY,
    LARGEST_STREAM,
    CachedImages,
    ImagesSource,
    decoded_bytes,
)
from tfcl.data.preprocessing import RESIZES
from tfcl.data.sources import folder_package
from tfcl.data.sources.folder_splits import FolderSplits
from tfcl.data.sources.image_files import (
    ImageFiles,
    Source,
    read_all,
)
from tfcl.data.task import TaskStream
from tfcl.data.task_assembly import (
    Statistics,
    assemble_task,
    checked_statistics,
)
from tfcl.errors import UserError
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
    batch_size: PositiveInt = 16,
    data_dir: Folder | None = None,
) -> TaskStream:
    """Tasks out of folders of images; no code, no list of classes.

    `root` holds a folder per task, and that

    - `{train,validation,test}/<class>/*.jpg`, or
    - `<class>/*.jpg`, or
    - `train.txt` (`validation.txt`, `test.txt`) with lines `path label`.

    Images are .jpg, .jpeg, .png, .webp, .bmp or .gif of any size and kind
    (`data_builders.image_folders.image_file.decode`). Labels follow the
    sorted names of the classes. Validation or test images, where the user
    gives none, are cut from the training images of each class: of n
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
            cut to the middle, both bicubic; "bilinear" stretches, too. All
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
            as that is at most a GiB per task; of the tasks after the first 4
            GiB only those in use. False decodes all each time they are
            needed, as it is with larger tasks.
        data_seed: Seed of the cut.
        batch_size: Examples per training step over all replicas.
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
    learned, held = [], 0
    try:
        found = _found(root, bad, tasks)
        for name, pools in found.items():
            logging.info("Reading the images of task '%s'.", name)
            read = _TaskReader(name, pools, image_shape, resize, bad)
            # Only what came before decides, so that a longer stream goes on.
            splits, class_names = read.splits(
                parts, data_seed, in_memory, now=held < LARGEST_STREAM
            )
            held += decoded_bytes(splits)
            learned.append(
                assemble_task(
                    len(learned),
                    name,
                    class_names,
                    splits,
                    statistics,
                    learned,
                    resize,
                )
            )
    except image_tree.TreeError as error:
        raise UserError(str(error)) from error
    _tell_of_skipped(bad.skipped)
    for task in learned:
        _check_fills_a_batch(task, batch_size)
    return TaskStream(_name_of(root), learned, batch_size)


def _tell_of_skipped(files):
    if files:
        logging.warning(
            "Left out %d file(s), the first: '%s' %s.", len(files), *files[0]
        )


def _check_fills_a_batch(task, batch_size):
    if len(task.train) < batch_size:
        raise ValueError(
            f"Task '{task.name}': a batch of {batch_size} is larger than "
            f"the task's {len(task.train)} training images. Add some, or "
            "make batches smaller: "
            f"--gin_bindings='folder_stream.batch_size = {len(task.train)}'"
        )


def _name_of(root):
    path = pathlib.Path(root).expanduser().resolve()
    if folder_package.is_package(root):
        path = path.parent  # Above the folder of the version.
    return path.name or "folders"


def _found(root, bad, tasks):
    """`{task: {split: {class: [Source]}}}` of a tree or of its TFDS set."""
    if folder_package.is_package(root):
        return folder_package.open_package(root, tasks)
    return {
        task: {
            split: {
                name: [Source(str(path), path) for path in paths]
                for name, paths in classes.items()
            }
            for split, classes in splits.items()
        }
        for task, splits in image_tree.find_images(root, bad, tasks).items()
    }


class _TaskReader:
    """Reads all files of a task, once."""

    def __init__(self, name, pools, image_shape, resize, bad):
        self._name = name
        self._shape = (image_shape, resize)
        self._bad = bad
        self._sources = []
        self._pools = {}
        for split, classes in pools.items():
            self._pools[split] = {}
            for class_name, sources in classes.items():
                first = len(self._sources)
                self._sources += sources
                places = range(first, len(self._sources))
                self._pools[split][class_name] = places

    def splits(self, parts, seed, in_memory, now):
        """`(images, labels)` of the three splits, and the class names."""
        size = len(self._sources) * int(np.prod(self._shape[0]))
        in_memory = in_memory and size <= LARGEST_IN_MEMORY
        digests, kept, broken = [], [], set()
        with contextlib.closing(
            read_all(self._sources, *self._shape)
        ) as readings:
            for index, reading in enumerate(readings):
                digests.append(reading.digest)
                kept.append(reading.pixels if in_memory and now else None)
                if reading.fault:
                    self._bad(self._sources[index].name, reading.fault)
                    broken.add(index)
        usable = {
            split: {
                name: [index for index in places if index not in broken]
                for name, places in classes.items()
            }
            for split, classes in self._pools.items()
        }
        splits = FolderSplits(
            self._name, self._sources, digests, usable, self._bad
        )
        splits.complete(parts, seed)
        splits.part_duplicates()
        result = []
        for indices, labels in splits.chosen():
            if in_memory and now:
                images = np.empty((len(indices), *self._shape[0]), np.uint8)
                for place, index in enumerate(indices):
                    images[place] = kept[index]
                    kept[index] = None  # Not twice in memory.
            else:
                chosen = [
                    self._sources[index]._replace(digest=digests[index])
                    for index in indices
                ]
                images = ImageFiles(chosen, *self._shape)
                if in_memory:
                    source = ImagesSource(images)
                    images = CachedImages(source, np.arange(len(chosen)))
            result.append((images, labels))
        return result, splits.class_names


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
