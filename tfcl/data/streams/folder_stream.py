"""A user's own images as a stream: one folder per task."""

import contextlib
import pathlib

import gin
import numpy as np
from absl import logging

from data_builders.image_folders import image_tree
from tfcl.data.arguments import check_choice
from tfcl.data.lazy_images import (
    CachedImages,
    ImagesSource,
    MemoryLimits,
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
from tfcl.data.task_assembly import assemble_task, checked_statistics
from tfcl.errors import UserError


@gin.configurable(denylist=["data_dir"])
def folder_stream(
    root: str = gin.REQUIRED,
    image_size: int | tuple = gin.REQUIRED,
    tasks: list | None = None,
    resize: str = "stretch",
    channels: int = 3,
    validation_fraction: float = 0.15,
    test_fraction: float = 0.2,
    statistics: str | tuple = "train",
    on_bad_image: str = "error",
    in_memory: bool = True,
    data_seed: int = 0,
    batch_size: int = 16,
    memory: MemoryLimits | None = None,
    data_dir: str | None = None,
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
            as `memory` allows. False decodes all each time they are needed.
        data_seed: Seed of the cut.
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
    image_shape = (*_size(image_size), channels)
    parts = {"validation": validation_fraction, "test": test_fraction}
    _check(resize, channels, parts, on_bad_image)
    statistics = checked_statistics(statistics, channels)
    bad = image_tree.BadImages(skip=on_bad_image == "skip")
    memory = memory or MemoryLimits()
    learned, held = [], 0
    try:
        found = _found(root, bad, tasks)
        for name, pools in found.items():
            logging.info("Reading the images of task '%s'.", name)
            read = _TaskReader(name, pools, image_shape, resize, bad)
            # Only what came before decides, so that a longer stream goes on.
            splits, class_names = read.splits(
                parts, data_seed, *memory.after(held, in_memory)
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
    return TaskStream(_name_of(root), learned, batch_size)


def _tell_of_skipped(files):
    if files:
        logging.warning(
            "Left out %d file(s), the first: '%s' %s.", len(files), *files[0]
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

    def splits(self, parts, seed, now, largest):
        """`(images, labels)` of the three splits, and the class names.

        Pixels are held if the task has at most `largest` bytes of them; from
        now on, or while they are in use.
        """
        count, shape = len(self._sources), self._shape[0]
        size = count * int(np.prod(shape))
        in_memory = size <= largest
        held = in_memory and now
        kept = np.empty((count if held else 0, *shape), np.uint8)
        digests, broken = [], set()
        with contextlib.closing(
            read_all(self._sources, *self._shape)
        ) as readings:
            for index, reading in enumerate(readings):
                digests.append(reading.digest)
                if held and not reading.fault:
                    kept[index] = reading.pixels
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
        found = splits.chosen()
        if held:
            move_rows(kept, np.concatenate([indices for indices, _ in found]))
        begin = 0
        for indices, labels in found:
            if held:
                images = kept[begin : begin + len(indices)]
                begin += len(indices)
            else:
                chosen = [
                    self._sources[index]._replace(digest=digests[index])
                    for index in indices
                ]
                images = ImageFiles(chosen, *self._shape)
                if in_memory:
                    source = ImagesSource(images)
                    places = np.arange(len(chosen))
                    images = CachedImages(source, places, largest)
            result.append((images, labels))
        return result, splits.class_names


def move_rows(array: np.ndarray, wanted: np.ndarray) -> None:
    """Brings rows of an array to its front, in place.

    A second array would double what a task takes.

    Args:
        array: `(n, ...)`; the order of its other rows is not kept.
        wanted: Different row numbers, `(k,)`; row `wanted[i]` comes to i.
    """
    place = np.arange(len(array))  # Where each row is now.
    row = np.arange(len(array))  # Which row is at each place.
    for to, number in enumerate(wanted):
        at = place[number]
        if at == to:
            continue
        array[[to, at]] = array[[at, to]]
        other = row[to]
        row[to], row[at] = number, other
        place[number], place[other] = to, at


def _size(image_size):
    size = (image_size,) * 2 if isinstance(image_size, int) else image_size
    if len(size) != 2 or not all(isinstance(n, int) and n >= 1 for n in size):
        raise ValueError(
            "Argument `image_size` must be a positive number of pixels, or a "
            f"pair (height, width). Received: image_size={image_size!r}"
        )
    return tuple(size)


def _check(resize, channels, parts, on_bad_image):
    check_choice("resize", resize, RESIZES)
    for name, value, known in (
        ("channels", channels, (1, 3)),
        ("on_bad_image", on_bad_image, ("error", "skip")),
    ):
        if value not in known:
            raise ValueError(
                f"Argument `{name}` must be {known[0]!r} or {known[1]!r}. "
                f"Received: {name}={value!r}"
            )
    for name, value in parts.items():
        if not 0.0 < value < 1.0:
            raise ValueError(
                f"Argument `{name}_fraction` must lie between 0 and 1. "
                f"Received: {name}_fraction={value}"
            )
    if sum(parts.values()) >= 1.0:
        raise ValueError(
            "Arguments `validation_fraction` and `test_fraction` must leave "
            "something to learn from: their sum must be below 1. Received: "
            f"validation_fraction={parts['validation']}, "
            f"test_fraction={parts['test']}"
        )
