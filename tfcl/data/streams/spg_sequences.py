"""The nine sequences of SPG: sets cut into tasks by class or by user."""

from __future__ import annotations

import dataclasses
import random
import typing

import gin
import numpy as np

from tfcl import randomness
from tfcl.data.class_pools import SPLITS
from tfcl.data.lazy_images import HeldTasks, MemoryLimits, images_of
from tfcl.data.sources import tfds_source
from tfcl.data.task import Task, TaskStream
from tfcl.data.task_assembly import assemble_task
from tfcl.errors import UserError
from tfcl.types import Folder

if typing.TYPE_CHECKING:
    from typing import Any


# Mean and deviation of pixels / 255 by the number of channels.
STATISTICS = {
    1: (0.1307, 0.3081),
    3: ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


@dataclasses.dataclass(frozen=True)
class Sequence:
    """What a sequence is made of.

    Args:
        dataset: Name in `tfcl.data.sources.catalog`.
        num_tasks: Tasks.
        per_class: Images of a task's training, validation and test split,
            divided by its classes.
        image_shape: `(height, width, channels)` of the network's input.
        resizes: Whether the set's images have to be brought to it.
        by_user: Task t has all classes, and images of user t alone; else
            the classes are divided among the tasks.
    """

    dataset: str
    num_tasks: int
    per_class: tuple
    image_shape: tuple = (32, 32, 3)
    resizes: bool = False
    by_user: bool = False


_TINY: dict[str, Any] = {"per_class": (450, 50, 50), "resizes": True}
_CELEBA: dict[str, Any] = {
    "per_class": (200, 20, 40),
    "resizes": True,
    "by_user": True,
}
_FEMNIST: dict[str, Any] = {
    "per_class": (50, 5, 10),
    "image_shape": (28, 28, 1),
    "by_user": True,
}

SEQUENCES = {
    "cifar100_10": Sequence("cifar100", 10, (450, 50, 100)),
    "cifar100_20": Sequence("cifar100", 20, (450, 50, 100)),
    "tinyimagenet_10": Sequence("tiny_imagenet", 10, **_TINY),
    "tinyimagenet_20": Sequence("tiny_imagenet", 20, **_TINY),
    "imagenet_100": Sequence("imagenet32", 100, (1000, 100, 50)),
    "fceleba_10": Sequence("fceleba", 10, **_CELEBA),
    "fceleba_20": Sequence("fceleba", 20, **_CELEBA),
    "femnist_10": Sequence("femnist", 10, **_FEMNIST),
    "femnist_20": Sequence("femnist", 20, **_FEMNIST),
}


@gin.configurable(denylist=["data_dir"])
def spg_sequence(
    sequence: str | tuple | list = gin.REQUIRED,
    seed: int = 1,
    batch_size: int = 64,
    num_tasks: int | None = None,
    per_class: tuple | None = None,
    dataset: str | None = None,
    same_user: bool = False,
    image_shape: tuple | None = None,
    memory: MemoryLimits | None = None,
    data_dir: Folder | None = None,
) -> TaskStream:
    """One of the nine sequences, in an order drawn from a seed, or several.

    Of a task's images a subset of the stated size is drawn, stratified by
    class, then `validation` of `training + validation` images at random.
    The stored order of a split is random: methods that do not shuffle see the
    same mixed batches in every epoch.

    Args:
        sequence: Name in `SEQUENCES`: cifar100_10, cifar100_20,
            tinyimagenet_10, tinyimagenet_20, imagenet_100, fceleba_10,
            fceleba_20, femnist_10 or femnist_20. Several make one stream:
            the tasks of one behind those of the other, each as it would be
            alone.
        seed: Decides classes, order of the tasks, subsets and splits; 1 to 5
            are the published ones. Classes and order are those of the
            published program; its subsets and splits have no seed.
        batch_size: Examples per training step over all replicas.
        num_tasks: The first so many tasks; None for all.
        per_class: Images per class of training, validation and test in
            place of the published ones, on the average over a task's classes.
        dataset: Another set of the catalog, resized. "imagenet32_scrambled"
            repeats the program's reading of ImageNet.
        same_user: Draw every task from user 0, as the published program does
            by mistake with femnist.
        image_shape: `(height, width, channels)` of the network's input, 1 or
            3 channels, in place of the sequences' own. Images are stretched
            to it (`preprocessing.grey_levels`), grey ones made coloured and
            the reverse. Sequences of several shapes need it.
        memory: `MemoryLimits` of decoded images; None for its defaults.
        data_dir: Folder of prepared TFDS data sets.

    Raises:
        UserError: If a task has fewer images than are asked for, or there
            are fewer users than tasks.
        ValueError: If an argument breaks its rule.

    Reference:
        Konishi et al., "Parameter-Level Soft-Masking for Continual
        Learning", ICML 2023, table 1, and its program.
    """
    names = [sequence] if isinstance(sequence, str) else list(sequence)
    if not names:
        raise ValueError(
            "Argument `sequence` must name at least one. Received: "
            f"sequence={sequence!r}"
        )
    made_of = [_sequence(name, seed, per_class, dataset) for name in names]
    made_of = _of_one_shape(names, made_of, image_shape)
    total = sum(each.num_tasks for each in made_of)
    if num_tasks is not None and not 1 <= num_tasks <= total:
        raise ValueError(
            f"Argument `num_tasks` must be 1..{total} for "
            f"{', '.join(names)}. Received: num_tasks={num_tasks}"
        )
    if same_user and not all(each.by_user for each in made_of):
        raise ValueError(
            "Argument `same_user` is for sequences of users. Received: "
            f"same_user=True, sequence={sequence!r}"
        )
    tasks: list[Task] = []
    held = HeldTasks(memory)
    for each in made_of:
        rest = (num_tasks or total) - len(tasks)
        _add_tasks(tasks, rest, each, seed, same_user, held, data_dir)
    return TaskStream("+".join(names), tasks, batch_size)


def _add_tasks(tasks, most, made_of, seed, same_user, held, data_dir):
    """Adds the first tasks of a sequence, at most so many."""
    if not most:
        return
    train, test = (
        tfds_source.open_split(
            made_of.dataset,
            split,
            data_dir,
            made_of.image_shape if made_of.resizes else None,
            memory=held.limits,
        )
        for split in ("train", "test")
    )
    if made_of.by_user:
        groups = _users(train, test, made_of, seed, same_user)
    else:
        groups = _classes(train, test, made_of, seed)
    for group in groups[:most]:
        name = f"task_{len(tasks):02d}"
        chosen = _chosen(train, test, group, made_of, (seed, group.key), name)
        now, largest = held.next()
        splits = held.add(
            [
                (images_of(source, rows, now, largest), labels)
                for source, rows, labels in chosen
            ]
        )
        names = [train.class_names[label] for label in group.classes]
        statistics = STATISTICS[made_of.image_shape[-1]]
        tasks.append(
            assemble_task(len(tasks), name, names, splits, statistics, tasks)
        )


def class_order(num_classes: int, num_tasks: int, seed: int) -> Any:
    """Class indices of every task, as the published program draws them.

    Args:
        num_classes: Classes of the set.
        num_tasks: Must divide them.
        seed: Of Python's random numbers.

    Returns:
        `(num_tasks, classes per task)` integers; a column is a local label.

    Raises:
        ValueError: If the classes do not divide.
    """
    if num_tasks < 1 or num_classes % num_tasks:
        raise ValueError(
            f"Argument `num_tasks` must divide the {num_classes} classes of "
            "the set; take another sequence, or another spg_sequence.dataset. "
            f"Received: num_tasks={num_tasks}"
        )
    draws = random.Random(seed)
    classes = draws.sample(range(num_classes), k=num_classes)
    order = list(range(num_tasks))
    draws.shuffle(order)
    return np.array(classes).reshape(num_tasks, -1)[order]


def user_order(num_tasks: int, seed: int) -> Any:
    """Which user every task is of, likewise: `(num_tasks,)` integers."""
    order = list(range(num_tasks))
    random.Random(seed).shuffle(order)
    return np.array(order)


def _of_one_shape(names, made_of, image_shape):
    """The sequences with the one shape of the network's input."""
    shapes = {each.image_shape for each in made_of}
    if image_shape is None:
        if len(shapes) == 1:
            return made_of
        own = [f"{n} {each.image_shape}" for n, each in zip(names, made_of)]
        raise ValueError(
            "Argument `image_shape` must be given where sequences have "
            f"images of several shapes, here {', '.join(own)}: all are "
            "stretched to it, as by spg_sequence.image_shape = (32, 32, 3). "
            "Received: image_shape=None"
        )
    shape = tuple(image_shape)
    if len(shape) != 3 or min(shape) < 1 or shape[-1] not in STATISTICS:
        raise ValueError(
            "Argument `image_shape` must be (height, width, channels) with 1 "
            f"or 3 channels. Received: image_shape={image_shape!r}"
        )
    return [
        each
        if each.image_shape == shape
        else dataclasses.replace(each, image_shape=shape, resizes=True)
        for each in made_of
    ]


def _sequence(name, seed, per_class, dataset):
    if name not in SEQUENCES:
        raise ValueError(
            "Argument `sequence` must be one of "
            f"{', '.join(SEQUENCES)}. Received: sequence={name!r}"
        )
    made_of = SEQUENCES[name]
    if seed < 0:
        raise ValueError(
            f"Argument `seed` must not be negative. Received: seed={seed}"
        )
    if per_class is not None:
        per_class = tuple(per_class)
        if len(per_class) != 3 or min(per_class) < 1:
            raise ValueError(
                "Argument `per_class` must hold three positive numbers, of "
                "training, validation and test images. Received: "
                f"per_class={per_class}"
            )
        made_of = dataclasses.replace(made_of, per_class=per_class)
    if dataset is not None:
        # Of whatever shape, and unchanged if it has the right one.
        made_of = dataclasses.replace(made_of, dataset=dataset, resizes=True)
    return made_of


@dataclasses.dataclass(frozen=True)
class _Group:
    """Classes and images of a task; `key` seeds its draws."""

    key: int
    classes: list
    train: np.ndarray
    test: np.ndarray


def _classes(train, test, made_of, seed):
    groups = []
    order = class_order(len(train.class_names), made_of.num_tasks, seed)
    for classes in order.tolist():
        rows = [
            np.flatnonzero(np.isin(source.labels, classes))
            for source in (train, test)
        ]
        groups.append(_Group(classes[0], classes, *rows))
    return groups


def _users(train, test, made_of, seed, same_user):
    users = [_user_of(source, made_of.dataset) for source in (train, test)]
    count = 1 if same_user else made_of.num_tasks
    found = set(users[0].tolist()) & set(users[1].tolist())
    missing = sorted(set(range(count)) - found)
    if missing:
        raise UserError(
            f"Data set '{made_of.dataset}' has no images of user "
            f"{missing[0]}, {count} users are asked for. Prepare it from more "
            "of LEAF's users or files."
        )
    every = list(range(len(train.class_names)))
    groups = []
    for task in user_order(made_of.num_tasks, seed).tolist():
        user = 0 if same_user else task
        rows = [np.flatnonzero(of == user) for of in users]
        groups.append(_Group(task, every, *rows))
    return groups


def _user_of(source, dataset):
    """The user of each image, `(n,)` integers, from its id."""
    ids = source.ids or ()
    heads = [text.partition("/")[0] for text in ids]
    if not heads or not all(head.isdigit() for head in heads):
        raise UserError(
            f"Data set '{dataset}' does not tell users: ids must begin with "
            "the user's number, as those of fceleba and femnist."
        )
    return np.array([int(head) for head in heads])


def _chosen(train, test, group, made_of, key, task_name):
    """Source, rows and labels of the three splits, in random order."""
    wanted = [size * len(group.classes) for size in made_of.per_class]
    draws = randomness.generator(key[0], "spg subset", key[1])
    learned = wanted[0] + wanted[1]
    _check_size(train, group, group.train, learned, task_name, SPLITS[:2])
    _check_size(test, group, group.test, wanted[2], task_name, SPLITS[2:])
    rows = stratified(train.labels, group.train, learned, draws)
    tested = stratified(test.labels, group.test, wanted[2], draws)
    chosen = (
        (train, rows[wanted[1] :]),
        (train, rows[: wanted[1]]),
        (test, tested),
    )
    local = np.full(len(train.class_names), -1, np.int32)
    local[group.classes] = np.arange(len(group.classes))
    return [
        (source, indices, local[source.labels[indices]])
        for source, indices in chosen
    ]


def _check_size(source, group, rows, wanted, task_name, splits):
    if len(rows) >= wanted:
        return
    counts = np.bincount(source.labels[rows], minlength=max(group.classes) + 1)
    least = min(group.classes, key=lambda label: counts[label])
    raise UserError(
        f"Task '{task_name}', split '{' and '.join(splits)}': {len(rows)} "
        f"images, {wanted} are asked for. The fewest has class "
        f"'{source.class_names[least]}': {counts[least]}, where "
        f"{-(-wanted // len(group.classes))} per class are asked for. Lower "
        "spg_sequence.per_class."
    )


def stratified(
    labels: np.ndarray,
    rows: np.ndarray,
    count: int,
    draws: np.random.Generator,
) -> np.ndarray:
    """Some of `rows` in random order, each class by its share.

    Args:
        labels: Of all images, `(n,)`.
        rows: Indices to choose from, `(k,)`.
        count: How many, at most k.
        draws: NumPy generator.

    Returns:
        `(count,)` indices. A class has its share of `count`, rounded; what
        rounding leaves goes to the largest remainders.
    """
    classes, sizes = np.unique(labels[rows], return_counts=True)
    exact = sizes * count / max(len(rows), 1)
    chosen = np.floor(exact).astype(int)
    rest = np.argsort(chosen - exact, kind="stable")
    chosen[rest[: count - chosen.sum()]] += 1
    picked = [
        draws.permutation(rows[labels[rows] == label])[:number]
        for label, number in zip(classes, chosen)
    ]
    return draws.permutation(np.concatenate(picked))
