"""A stream whose tasks are disjoint or overlapping sets of classes."""

from collections.abc import Sequence
from typing import Annotated

import gin

from tfcl.arguments import PositiveInt, checked, one_of, within
from tfcl.data.lazy_images import HeldTasks, MemoryLimits
from tfcl.data.preprocessing import RESIZES
from tfcl.data.sources.set_parts import (
    classes_with_images,
    open_parts,
    pools_of,
)
from tfcl.data.streams.class_groups import (
    ClassOrder,
    cut_groups,
    listed_groups,
)
from tfcl.data.streams.long_tail import LongTail
from tfcl.data.task import TaskStream
from tfcl.data.task_assembly import (
    Statistics,
    assemble_task,
    checked_statistics,
)
from tfcl.data.training_crops import TrainingCrop
from tfcl.types import Folder

_Fraction = Annotated[float, within("(0, 1)")]
_Selection = Annotated[str, one_of("validation", "test")]


@gin.configurable(denylist=["data_dir"])
@checked
def class_split_stream(
    dataset: str = gin.REQUIRED,
    batch_size: PositiveInt = gin.REQUIRED,
    task_classes: Sequence | None = None,
    task_names: Sequence | None = None,
    num_tasks: int | None = None,
    classes_per_task: int | None = None,
    first_classes: int | None = None,
    image_size: PositiveInt | None = None,
    resize: Annotated[str, one_of(*RESIZES)] = "stretch",
    train_crop: TrainingCrop | None = None,
    name: str | None = None,
    validation_fraction: _Fraction = 1.0 / 6.0,
    selection_split: _Selection = "validation",
    test_fraction: _Fraction | None = None,
    train_per_class: PositiveInt | None = None,
    validation_per_class: PositiveInt | None = None,
    test_per_class: PositiveInt | None = None,
    long_tailed: LongTail | None = None,
    statistics: Statistics = "train",
    class_order: ClassOrder | None = None,
    order_seed: int | None = None,
    data_seed: int = 0,
    memory: MemoryLimits | None = None,
    data_dir: Folder | None = None,
) -> TaskStream:
    """Splits one labelled data set into tasks by class.

    Per class, the training images are shuffled once; the first
    `validation_fraction` of them is the validation pool, the rest the
    training pool. A task takes the first `*_per_class` images of each pool
    of its classes; local label k is the k-th class of the task's list.

    Args:
        dataset: Name in `tfcl.data.sources.catalog`.
        batch_size: Examples per training step over all replicas.
        task_classes: Per task a list of class indices or class names. None
            cuts the classes that have images into `num_tasks` equal groups,
            or as `classes_per_task` says.
        task_names: Names of the tasks, moved by `order_seed` along with
            `task_classes`. Defaults to `task_00`, `task_01`, ....
        num_tasks: Number of equal groups, or of the first `task_classes` to
            use. Defaults to all.
        classes_per_task: Classes of each task; what is left at the end is a
            last, smaller task.
        first_classes: Classes of the first task, then; None for as many as
            the others have.
        image_size: Height and width to which images of any size are
            brought, in pixels; None takes them as they are, all of one shape.
        resize: How they are: "stretch", "crop", "bilinear", "centre_crop" or
            "centre_crop_bilinear" (`tfcl.data.preprocessing`).
        train_crop: What training sees instead: random parts of the whole
            images, `RandomAreaCrop` or `RandomPlaceCrop`
            (`tfcl.data.training_crops`), decoded anew in every epoch.
        name: Name of the stream. Defaults to `<dataset>_<tasks>`.
        validation_fraction: Part of a class's training images held out,
            between 0 and 1.
        selection_split: "validation" selects epochs, goals and widths on the
            held-out images; "test" holds none out and selects on the test
            images, as some published programs do: say so with the result.
        test_fraction: Part of a class's images for tests, rounded down,
            between 0 and 1; for a set that has one part alone.
        train_per_class: Training images per class; None takes the pool.
        validation_per_class: Validation images per class, likewise.
        test_per_class: Test images per class, likewise.
        long_tailed: Which of the training images are kept, `LongTail`; None
            keeps all.
        statistics: "train" standardises every split by the mean and deviation
            of the task's training images; "split" each split by its own
            (the LASEM protocol, which also looks at the test images);
            "none" leaves them between 0 and 1. A pair `(mean, std)`, each a
            number or one per channel, in the unit of pixels / 255, holds for
            all tasks.
        class_order: In which order the classes come that are cut into tasks:
            a list of class indices or class names, without those that are to
            be left out; a seed of NumPy's former generator, by which orders
            are published: `numpy.random.RandomState(seed).permutation(n)` of
            the n classes; or "icarl", iCaRL's order of CIFAR-100's, which is
            that of the seed 1993. None keeps that of the set.
        order_seed: Seed of a random order of `task_classes`, or without them
            of the classes, in place of `class_order`; None keeps the given
            one.
        data_seed: Seed of the shuffling inside a class.
        memory: `MemoryLimits` of decoded images; None for its defaults.
        data_dir: Folder of prepared TFDS data sets.

    Returns:
        A `TaskStream` with uint8 images.

    Raises:
        UserError: If the data set is unknown, damaged or too small.
        ValueError: If an argument breaks its rule.
    """
    wanted = (train_per_class, validation_per_class, test_per_class)
    shape = None if image_size is None else (image_size, image_size, 3)
    known = (dataset, test_fraction, data_dir, shape, resize)
    parts = open_parts(*known, memory=memory)
    class_names, channels = parts[0].class_names, parts[0].image_shape[-1]
    statistics = checked_statistics(statistics, channels)
    given = (num_tasks, classes_per_task, first_classes)
    orders = (class_order, order_seed)
    if task_classes is None:
        present = classes_with_images(parts)
        groups, places = cut_groups(class_names, present, *given, *orders)
    else:
        listed = (class_names, task_classes)
        groups, places = listed_groups(*listed, *given, *orders)
    named = list(zip(_names(task_names, places), groups))
    remedies = _remedies(validation_fraction)
    held = None if selection_split == "test" else validation_fraction
    pools = pools_of(parts, held, test_fraction, data_seed, remedies)
    if long_tailed is not None:
        pools = long_tailed.cut(pools, groups, train_per_class)
        wanted = (None, *wanted[1:])
    how = (statistics, resize, memory, train_crop)
    tasks = _assembled(named, pools, wanted, *how)
    return TaskStream(name or f"{dataset}_{len(tasks)}", tasks, batch_size)


def _remedies(validation_fraction):
    return (
        "Lower class_split_stream.{split}_per_class.",
        "Choose classes with more of them, or hold out another part by "
        "class_split_stream.validation_fraction. Received: "
        f"validation_fraction={validation_fraction}",
    )


def _names(task_names, places):
    """Names of the tasks, in their order."""
    if task_names is None:
        return [f"task_{i:02d}" for i in range(len(places))]
    if len(task_names) <= max(places):
        raise ValueError(
            "Argument `task_names` must name every task. Received: "
            f"{len(task_names)} names for {max(places) + 1} tasks"
        )
    return [task_names[place] for place in places]


def _assembled(named, pools, wanted, statistics, resize, memory, train_crop):
    """The tasks, of pairs of a name and class indices."""
    tasks, held = [], HeldTasks(memory)
    for index, (name, classes) in enumerate(named):
        splits = held.add(
            pools.take(classes, wanted, name, *held.next(), train_crop)
        )
        names = [pools.class_names[c] for c in classes]
        tasks.append(
            assemble_task(index, name, names, splits, statistics, tasks, resize)
        )
    return tasks
