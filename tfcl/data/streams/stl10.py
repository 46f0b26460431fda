"""STL-10 tasks of random classes, noise and channel order."""

import math
from typing import Annotated, NamedTuple

import gin
import numpy as np

from tfcl import randomness
from tfcl.arguments import PositiveInt, checked, within
from tfcl.data.class_pools import SPLITS, ClassPools, shuffled
from tfcl.data.lazy_images import (
    CachedImages,
    HeldTasks,
    LazyImages,
    MemoryLimits,
    image_digest,
)
from tfcl.data.sources import tfds_source
from tfcl.data.task import TaskStream
from tfcl.data.task_assembly import assemble_task
from tfcl.types import Folder

_CLASSES = 10
# Pixels / 255 less a half.
_STANDARDISATION = (0.5, 1.0)
_NOISE_UNIT = 0.025
_NOISE_MEANS = (-2, -1, 0, 1)
_NOISE_STDS = (0, 1)
_WHOLE = (None, None, None)
_PART = 256  # Images that get their noise at a time.


class STL10Task(NamedTuple):
    """What makes a task of the STL-10 stream.

    Attributes:
        task: Index in the stream, from 0.
        classes: Class indices of the data set, ascending; local label k is
            the k-th of them.
        noise_mean: Mean of the pixel noise, in the unit of pixels / 255.
        noise_std: Its standard deviation, same unit.
        channels: Channel k of the task's images is channel `channels[k]` of
            the stored ones.
    """

    task: int
    classes: tuple
    noise_mean: float
    noise_std: float
    channels: tuple


def stl10_design(
    num_tasks: int = 20, classes_per_task: int = 3, design_seed: int = 0
) -> list:
    """Draws the tasks of an STL-10 stream.

    No two tasks have the same set of classes. Noise means are drawn from
    {-2, -1, 0, 1} * 0.025, deviations from {0, 1} * 0.025 (both 0: no noise),
    channel orders from all six.

    Args:
        num_tasks: Number of tasks.
        classes_per_task: Classes of a task, of 10.
        design_seed: Seed of all draws. A longer design begins with the shorter
            one of the same seed.

    Returns:
        A list of `STL10Task`, one row per task.

    Raises:
        ValueError: If there are fewer class sets than tasks.
    """
    if not 2 <= classes_per_task < _CLASSES:
        raise ValueError(
            f"Argument `classes_per_task` must lie in 2..{_CLASSES - 1}. "
            f"Received: classes_per_task={classes_per_task}"
        )
    possible = math.comb(_CLASSES, classes_per_task)
    if not 1 <= num_tasks <= possible:
        raise ValueError(
            f"Argument `num_tasks` must lie in 1..{possible}, the number of "
            f"different sets of {classes_per_task} classes. Received: "
            f"num_tasks={num_tasks}"
        )
    generator = randomness.generator(design_seed, "stl10 design")
    rows = []
    while len(rows) < num_tasks:
        drawn = generator.permutation(_CLASSES)[:classes_per_task]
        classes = tuple(sorted(drawn.tolist()))
        mean = generator.choice(_NOISE_MEANS)
        std = generator.choice(_NOISE_STDS)
        channels = tuple(generator.permutation(3).tolist())
        if classes in [row.classes for row in rows]:
            continue
        rows.append(
            STL10Task(
                len(rows),
                classes,
                float(mean * _NOISE_UNIT),
                float(std * _NOISE_UNIT),
                channels,
            )
        )
    return rows


@gin.configurable(denylist=["data_dir"])
@checked
def stl10_stream(
    num_tasks: int = 20,
    classes_per_task: int = 3,
    data_percent: Annotated[int, within("[1, 100]")] = 25,
    validation_percent: Annotated[int, within("[1, 100]")] = 15,
    design_seed: int = 0,
    data_seed: int = 0,
    batch_size: PositiveInt = 10,
    memory: MemoryLimits | None = None,
    data_dir: Folder | None = None,
) -> TaskStream:
    """STL-10 cut into tasks by `stl10_design`: "20t", "15t" or others.

    The published 20t: 20 tasks x 3 classes, 25 % of the training images, of
    these 15 % validation (106 / 19 / 800 images per class); 15t: 15 tasks x
    5 classes, 10 %, 50 % validation (25 / 25 / 800). Noise and channel order
    of a task hold for training, validation and test.

    Args:
        num_tasks: Number of tasks.
        classes_per_task: Classes of each.
        data_percent: Part of a class's training images that a task uses, in
            percent, rounded down.
        validation_percent: Part of these that is held out, in percent,
            rounded up.
        design_seed: Seed of classes, noise parameters and channel orders.
        data_seed: Seed of the choice of images, drawn anew for every task,
            and of the noise values.
        batch_size: Examples per training step over all replicas.
        memory: `MemoryLimits` of decoded images; None for its defaults.
        data_dir: Folder of prepared TFDS data sets.

    Returns:
        A `TaskStream` "stl10_<num_tasks>t" of uint8 images (96, 96, 3),
        which the network receives as pixels / 255 - 0.5.

    Raises:
        UserError: If STL-10 is damaged or cannot be prepared, or a split of a
            task gets no image.
        ValueError: If an argument breaks its rule.

    Note:
        Noise is added once, when the stream is made, clipped to the range of
        the pixels and rounded to whole grey levels: the values differ from
        unrounded ones by at most 1/510. The published program draws the noise
        again at every start. A learned task expects images in its own
        channel order, also when it is exported.

    Reference:
        Lee, Behpour, Eaton, ICML 2021, and its program.
    """
    design = stl10_design(num_tasks, classes_per_task, design_seed)
    train = tfds_source.open_split("stl10", "train", data_dir, memory=memory)
    test = tfds_source.open_split("stl10", "test", data_dir, memory=memory)
    tasks, held = [], HeldTasks(memory)
    for row in design:
        name = f"task_{row.task:02d}"
        percentages = (data_percent, validation_percent)
        pools = _pools(train, test, row, percentages, data_seed)
        splits = held.add(
            [
                (_disturbed(images, row, data_seed, split), labels)
                for split, (images, labels) in zip(
                    SPLITS, pools.take(row.classes, _WHOLE, name, *held.next())
                )
            ]
        )
        class_names = [train.class_names[c] for c in row.classes]
        tasks.append(
            assemble_task(
                row.task, name, class_names, splits, _STANDARDISATION, tasks
            )
        )
    return TaskStream(f"stl10_{num_tasks}t", tasks, batch_size)


def _pools(train, test, row, percentages, data_seed):
    """The images of the task's classes, before its noise."""
    key = (data_seed, row.task)
    return ClassPools(
        (train, train, test),
        {
            label: _pool(train, test, label, percentages, key)
            for label in row.classes
        },
        remedies=("", "Set other stl10_stream percentages."),
    )


def _pool(train, test, label, percentages, key):
    data_percent, validation_percent = percentages
    mine = shuffled(train, label, *key)
    mine = mine[: len(mine) * data_percent // 100]
    held_out = -(-len(mine) * validation_percent // 100)
    tested = np.flatnonzero(test.labels == label)
    return mine[held_out:], mine[:held_out], tested


def _disturbed(images, row, data_seed, split):
    """The task's noise, then its channel order; uint8, decoded or lazy."""
    source = _DisturbedImages(images, row, data_seed, split)
    everything = np.arange(len(images))
    if isinstance(images, CachedImages):
        return images.again(source, everything)
    if isinstance(images, LazyImages):
        return LazyImages(source, everything)
    return source.images(everything)


class _DisturbedImages:
    """Images with the noise of a task, as a source of `LazyImages`.

    Args:
        images: uint8 array or `Images` `(n, height, width, 3)`.
        row: `STL10Task`.
        data_seed: Seed of the noise.
        split: Name of the split, for the noise.
    """

    def __init__(self, images, row, data_seed, split):
        self.image_shape = images.shape[1:]
        # Kept here and in the cache, they would take twice the room.
        cached = isinstance(images, CachedImages)
        self._images = images.uncached() if cached else images
        self._row = row
        self._key = (data_seed, "stl10 noise", row.task, split)

    def images(self, indices):
        """Pixels, uint8 `(k, height, width, 3)`."""
        row, indices = self._row, np.asarray(indices)
        pixels = np.empty((len(indices), *self.image_shape), np.uint8)
        generator = None
        if row.noise_mean or row.noise_std:
            generator = randomness.generator(*self._key)
        # In parts: a float copy of all test images would take 265 MB.
        count = len(self._images)
        for part in np.array_split(np.arange(count), -(-count // _PART)):
            noise = None
            if generator is not None:
                # Of images that are not asked for as well: the values of each
                # depend on how many came before.
                shape = (len(part), *self.image_shape)
                noise = generator.standard_normal(shape, np.float32)
            mine = np.flatnonzero((indices >= part[0]) & (indices <= part[-1]))
            if not len(mine):
                continue
            found = self._images[indices[mine]]
            if noise is not None:
                found = _with_noise(found, row, noise[indices[mine] - part[0]])
            pixels[mine] = found[..., list(row.channels)]
        return pixels

    def digest(self, indices):
        """Text that differs where images, or what is made of them, do."""
        taken = self._images.taken(np.asarray(indices))
        made = (self._row, self._key, np.asarray(indices).tolist())
        return f"{made}{image_digest(taken)}"


def _with_noise(images, row, noise):
    levels = images + 255.0 * (row.noise_mean + row.noise_std * noise)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
