"""Streams of two-class tasks: pairs of classes, or one against the rest."""

from typing import Annotated

import gin
import numpy as np

from tfcl import randomness
from tfcl.arguments import PositiveInt, checked, one_of, require
from tfcl.data.class_pools import SPLITS, ClassPools
from tfcl.data.lazy_images import HeldTasks, MemoryLimits
from tfcl.data.sources import tfds_source
from tfcl.data.task import TaskStream
from tfcl.data.task_assembly import assemble_task
from tfcl.errors import UserError
from tfcl.types import Folder

PAIRS = "pairs"
ONE_VS_REST = "one_vs_rest"
_MNIST_PAIRS = {
    1: (100, 20),
    3: (300, 60),
    5: (500, 100),
    7: (700, 140),
    9: (900, 180),
    10: (1000, 200),
    30: (3000, 600),
    50: (5000, 1000),
    70: (7000, 1000),
    90: (9000, 1000),
}
_CIFAR10 = {
    2: (160, 40),
    4: (340, 60),
    6: (500, 100),
    8: (660, 140),
    10: (840, 160),
    30: (2500, 500),
    50: (4160, 840),
    70: (5840, 1160),
    90: (7500, 1500),
    100: (8330, 1670),
}
# By data set and kind of task: training and validation images of a task by
# percentage of the data, and test images.
BINARY_SIZES = {
    ("mnist", PAIRS): (_MNIST_PAIRS, 1800),
    ("mnist", ONE_VS_REST): (
        {percent: (100 * percent, 10 * percent) for percent in _MNIST_PAIRS},
        2000,
    ),
    ("cifar10", PAIRS): (_CIFAR10, 2000),
    ("cifar10", ONE_VS_REST): (_CIFAR10, 2000),
}
_DATASETS = ("cifar10", "mnist")
_REMEDY = ", whose sizes are published; for others use class_split_stream"
# Of a class's training images; leaves room for the largest of the sizes.
_VALIDATION_FRACTION = 0.167


@gin.configurable(denylist=["data_dir"])
@checked
def binary_stream(
    dataset: Annotated[str, one_of(*_DATASETS, remedy=_REMEDY)] = gin.REQUIRED,
    kind: Annotated[str, one_of(PAIRS, ONE_VS_REST)] = PAIRS,
    data_percent: int = gin.REQUIRED,
    statistics: Annotated[str, one_of("train", "split", "none")] = "none",
    data_seed: int = 0,
    batch_size: PositiveInt = gin.REQUIRED,
    memory: MemoryLimits | None = None,
    data_dir: Folder | None = None,
) -> TaskStream:
    """MNIST or CIFAR-10 as 5 tasks of two classes, or 10 one-vs-rest tasks.

    "pairs": task i tells class 2i (label 1) from class 2i + 1 (label 0).
    "one_vs_rest": task i tells class i (label 1) from all others (label 0).
    Half of a task's images have label 1. Where the test images of a class
    do not make up a half (MNIST has 892 of digit 5), all are taken and the
    other label fills up.

    Args:
        dataset: "mnist" (streams MNIST5 and MNIST10 of the LASEM line) or
            "cifar10" (CIFAR10_5 and CIFAR10_10).
        kind: "pairs" or "one_vs_rest".
        data_percent: Which of the published sizes: for "mnist" 1, 3, 5, 7, 9,
            10, 30, 50, 70 or 90, for "cifar10" 2, 4, 6, 8, 10, 30, 50, 70, 90
            or 100.
        statistics: "none" leaves pixels between 0 and 1; "split" standardises
            every split of a task by its own pixels (the published CIFAR-10
            protocol, which also looks at the test images); "train" by the
            training images'.
        data_seed: Seed of the choice of images.
        batch_size: Examples per training step over all replicas.
        memory: `MemoryLimits` of decoded images; None for its defaults.
        data_dir: Folder of prepared TFDS data sets.

    Returns:
        A `TaskStream` "mnist5", "mnist10", "cifar10_5" or "cifar10_10" of
        uint8 images.

    Raises:
        UserError: If the data set is damaged, cannot be prepared or has too
            few images.
        ValueError: If an argument breaks its rule.

    Note:
        One-vs-rest tasks draw their negatives only from those images of the
        other classes that serve as positives in their tasks, so that all tasks
        together see `data_percent` of the data. How the published program
        draws within a split is not known to us.

    Reference:
        Lee, Behpour, Eaton, ICML 2021: sizes of its program.
    """
    table, test_size = _sizes(dataset, kind, data_percent)
    sizes = (*table[data_percent], test_size)
    train = tfds_source.open_split(dataset, "train", data_dir, memory=memory)
    test = tfds_source.open_split(dataset, "test", data_dir, memory=memory)
    pools = ClassPools.held_out(train, test, _VALIDATION_FRACTION, data_seed)
    tasks, held = [], HeldTasks(memory)
    for name, positive, negatives in _plan(train.class_names, kind):
        chosen = [
            _halves(
                pools,
                which,
                size,
                positive,
                negatives,
                randomness.generator(data_seed, "negatives", name, which),
            )
            for which, size in enumerate(sizes)
        ]
        splits = held.add(pools.load(chosen, name, *held.next()))
        class_names = [train.class_names[c] for c in (negatives[0], positive)]
        if kind == ONE_VS_REST:
            class_names[0] = f"not_{class_names[1]}"
        tasks.append(
            assemble_task(
                len(tasks), name, class_names, splits, statistics, tasks
            )
        )
    separator = "" if dataset == "mnist" else "_"
    return TaskStream(f"{dataset}{separator}{len(tasks)}", tasks, batch_size)


def _sizes(dataset, kind, data_percent):
    table, test_size = BINARY_SIZES[dataset, kind]
    require(
        data_percent in table,
        "data_percent",
        f"must be one of the published {', '.join(map(str, table))} for "
        f"'{dataset}'",
        data_percent,
    )
    return table, test_size


def _plan(class_names, kind):
    """(task name, class of label 1, classes of label 0) of each task."""
    every = range(len(class_names))
    if kind == PAIRS:
        return [
            (f"{class_names[c]}_vs_{class_names[c + 1]}", c, (c + 1,))
            for c in every[::2]
        ]
    return [
        (f"{name}_vs_rest", c, tuple(other for other in every if other != c))
        for c, name in enumerate(class_names)
    ]


def _halves(pools, which, size, positive, negatives, generator):
    """Indices of label 0 and of label 1 of one split."""
    half = size // 2
    ones = pools.pools[positive][which]
    zeros = [pools.pools[label][which] for label in negatives]
    if len(negatives) > 1:
        if SPLITS[which] != "test":
            zeros = [pool[:half] for pool in zeros]
        zeros = [generator.permutation(np.concatenate(zeros))]
    (zeros,) = zeros
    if len(ones) + len(zeros) < size:
        raise UserError(
            f"Split '{SPLITS[which]}': class "
            f"'{pools.class_names[positive]}' and its counterpart have "
            f"{len(ones) + len(zeros)} images, {size} are asked for. Lower "
            "binary_stream.data_percent."
        )
    num_ones = min(len(ones), max(half, size - len(zeros)))
    return zeros[: size - num_ones], ones[:num_ones]
