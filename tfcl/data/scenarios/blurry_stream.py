"""Class-incremental tasks that share images of some classes.

Whose is a class whose images come in several tasks? It belongs to the task in
whose training data it comes first. So

- `Task.own_classes` are the classes that no task before has trained on;
- labels count through in this order, as in `class_incremental_stream`: the
  first labels of a task are behind those of all tasks before, and
  `class_names` has the names of all classes;
- validation and test images are those of the own classes, all of them;
- training images are of own classes and of those of `earlier` tasks, never
  of later ones.

A head that grows by the number of `own_classes`, and whoever asks which task
brought a class, are right without knowing of this. What does not hold is that
the training labels of a task are its own classes.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Annotated

import gin
import numpy as np

from tfcl import randomness
from tfcl.arguments import checked, require, within
from tfcl.data.scenario import CLASS, announce
from tfcl.data.scenarios.online_stream import unique_class_names
from tfcl.data.split import taken_from
from tfcl.data.task import TaskStream
from tfcl.types import Folder

if typing.TYPE_CHECKING:
    from collections.abc import Callable


@gin.configurable(denylist=["data_dir"])
@checked
def blurry_stream(
    stream: Callable[..., TaskStream] = gin.REQUIRED,
    disjoint_share: Annotated[float, within("(0, 1]")] = 0.5,
    blurred_share: Annotated[float, within("[0, 1)")] = 0.1,
    seed: int = 0,
    data_dir: Folder | None = None,
) -> TaskStream:
    """Moves training images of some classes into the other tasks (i-Blurry).

    Of each task's classes `disjoint_share` stay in it, rounded to whole
    classes and at least one, so that every task brings some. Of the training
    images of each other class `blurred_share` are dealt to the other tasks
    evenly. No image is lost or doubled. Whose class is whose: see the module.

    For one pass over the images, as in the paper, put `online_stream` with
    `labels="domain"` around it: all tasks have the names of all classes.

    Args:
        stream: Stream factory, a function of `data_dir`, of tasks that bring
            classes of their own and standardise all images alike.
        disjoint_share: N / 100 of the paper, above 0 and at most 1.
        blurred_share: M / 100, from 0 to below 1.
        seed: Decides which classes and images.
        data_dir: Folder of prepared TFDS data sets.

    Returns:
        A class-incremental `TaskStream` "<stream>_blurry".

    Raises:
        ValueError: If a task comes twice or alone, tasks standardise images
            by means of their own, or an argument breaks its rule.

    Reference:
        Koh et al., "Online Continual Learning on Class Incremental Blurry
        Task Configuration with Anytime Inference", ICLR 2022.
    """
    announce(CLASS, "blurry_stream")
    parted = stream(data_dir=data_dir)
    _check(parted)
    counts = [task.num_classes for task in parted]
    draws = randomness.generator(seed, "blurry")
    blurry = _blurry_classes(counts, disjoint_share, draws)
    splits = {name: _numbered(parted, name) for name in _SPLITS}
    labels = {
        name: np.concatenate([split.labels for split in found])
        for name, found in splits.items()
    }
    # Which task trains on each image, and which brings each class.
    origins = np.repeat(np.arange(len(parted)), counts)
    places = origins[labels["train"]]
    for label in blurry:
        rows = np.flatnonzero(labels["train"] == label)
        rows = draws.permutation(rows)[: round(blurred_share * len(rows))]
        others = draws.permutation(len(parted))
        others = others[others != origins[label]]
        places[rows] = np.resize(others, len(rows))
    brought = origins.copy()
    np.minimum.at(brought, labels["train"], places)
    owners = {"train": places} | {
        name: brought[labels[name]] for name in _SPLITS[1:]
    }
    return _put_together(parted, splits, owners, brought)


_SPLITS = ("train", "validation", "test")


def _check(stream):
    require(
        len(stream.visits) == len(stream) > 1,
        "stream",
        "must bring two tasks or more, each once",
        f"{len(stream.visits)} visits of {len(stream)} tasks",
    )
    first = stream.tasks[0].train
    for task in stream:
        for split in task.splits.values():
            alike = np.array_equal(split.mean, first.mean) and np.array_equal(
                split.std, first.std
            )
            require(
                alike and len(split.mean) == 1,
                "stream",
                "must standardise all images alike, for tasks share them: "
                "class_split_stream.statistics = 'none', or a pair (mean, "
                "std)",
                stream.name,
            )


def _blurry_classes(counts, disjoint_share, draws):
    """Labels of the classes that are shared, counted through."""
    found, first = [], 0
    for count in counts:
        kept = max(1, math.floor(disjoint_share * count + 0.5))
        found += (first + draws.permutation(count)[kept:]).tolist()
        first += count
    return found


def _numbered(stream, name):
    """One split of all tasks, labels counted through."""
    found, first = [], 0
    for task in stream:
        split = task.splits[name]
        found.append(dataclasses.replace(split, labels=split.labels + first))
        first += task.num_classes
    return found


def _put_together(parted, splits, owners, brought):
    """The stream, of which task each example and each class is of."""
    former = unique_class_names(parted)
    order = np.argsort(brought, kind="stable")
    numbers = np.argsort(order)  # Former label -> label.
    names = tuple(former[label] for label in order)
    tasks = []
    for task in parted:
        made = {
            name: _taken(splits[name], owners[name] == task.index, numbers)
            for name in _SPLITS
        }
        own = np.flatnonzero(np.sort(brought) == task.index)
        tasks.append(
            dataclasses.replace(
                task,
                class_names=names,
                own_classes=tuple(names[label] for label in own),
                earlier=tuple(tasks),
                files={},  # Of this task and of others.
                **made,
            )
        )
    return TaskStream(
        f"{parted.name}_blurry", tasks, parted.batch_size, scenario=CLASS
    )


def _taken(splits, chosen, numbers):
    """One split of the chosen examples, standardised as all of them are."""
    found = taken_from(splits, np.flatnonzero(chosen))
    return dataclasses.replace(
        found,
        labels=numbers[found.labels],
        groups=None,
        mean=found.mean[:1],
        std=found.std[:1],
    )
