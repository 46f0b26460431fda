"""A stream whose tasks are data sets, one whole set each."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import gin

from tfcl.arguments import PositiveInt, checked, one_of, within
from tfcl.data.lazy_images import HeldTasks, MemoryLimits
from tfcl.data.pairs import measured_by_pairs, open_pairs
from tfcl.data.preprocessing import RESIZES
from tfcl.data.scenario import DOMAIN, TASK, announce
from tfcl.data.sources.set_parts import open_parts, pools_of
from tfcl.data.task import TaskStream
from tfcl.data.task_assembly import (
    Statistics,
    assemble_task,
    checked_statistics,
)
from tfcl.data.training_crops import TrainingCrop
from tfcl.types import Folder

_SELECTION = ("validation", "test", "own")
_Resize = Annotated[str, one_of(*RESIZES)]
_REMEDIES = (
    "",
    "Hold out another part (dataset_stream.validation_fraction, "
    "dataset_stream.test_fraction), or leave the set out.",
)


@gin.configurable(denylist=["data_dir"])
@checked
def dataset_stream(
    datasets: Sequence = gin.REQUIRED,
    image_size: PositiveInt = gin.REQUIRED,
    batch_size: PositiveInt | Sequence[PositiveInt] = gin.REQUIRED,
    task_names: Sequence | None = None,
    channels: Annotated[int, one_of(1, 3)] = 3,
    resize: _Resize | Sequence[_Resize] = "stretch",
    train_crop: TrainingCrop | Sequence[TrainingCrop | None] | None = None,
    name: str | None = None,
    scenario: Annotated[str, one_of(TASK, DOMAIN)] = TASK,
    validation_fraction: Annotated[float, within("(0, 1)")] = 1.0 / 6.0,
    selection_split: Annotated[str, one_of(*_SELECTION)] = "validation",
    test_fraction: Annotated[float, within("(0, 1)")] | None = None,
    train_per_class: PositiveInt | None = None,
    validation_per_class: PositiveInt | None = None,
    test_per_class: PositiveInt | None = None,
    statistics: Statistics = "train",
    pairs: dict | None = None,
    pairs_per_class: PositiveInt = 4,
    data_seed: int | None = 0,
    memory: MemoryLimits | None = None,
    data_dir: Folder | None = None,
) -> TaskStream:
    """Makes one task of each data set, with all of its classes.

    Which part of a set is for what: its training part, as the catalog names
    it, is shuffled once per class; the first `validation_fraction` of a class
    is held out for validation, the rest is for training. The part that the
    catalog names for tests (with some sets their "validation") is for tests.
    Of a set that has one part alone, the first `test_fraction` of every
    shuffled class is for tests, and what is left takes the place of the
    training part. Any further part, such as the validation images of
    `oxford_flowers102`, is used with `selection_split="own"` alone.

    Sets of more than `memory.task` bytes stay encoded, and are decoded batch by
    batch. Once the tasks before hold `memory.stream`, a smaller set is decoded
    when its turn comes.

    Args:
        datasets: Names in `tfcl.data.sources.catalog`, one per task, in order.
        image_size: Height and width of all images, in pixels.
        batch_size: Examples per training step over all replicas; one number,
            or a list with one per task.
        task_names: Names of the tasks. Defaults to those of the sets.
        channels: 3, or 1 for grey images.
        resize: How images of other shapes are brought to `image_size`:
            "stretch", "crop", "bilinear", "centre_crop" or
            "centre_crop_bilinear" (`tfcl.data.preprocessing`), one for all
            or a list with one per task.
        train_crop: What training sees instead: random parts of the whole
            images, `RandomAreaCrop` or `RandomPlaceCrop`
            (`tfcl.data.training_crops`), one for all or a list with one per
            task, None for those without. Such images are decoded anew in
            every epoch.
        name: Name of the stream. Defaults to `datasets_<tasks>`.
        scenario: "task", or "domain" for sets of the same classes in other
            looks, such as Office-Home's (`tfcl.data.scenario`).
        validation_fraction: Part of a class's training images held out,
            rounded down, between 0 and 1.
        selection_split: "validation" selects epochs, goals and widths on the
            held-out images; "test" holds none out and selects on the test
            images, as some published programs do: say so with the result;
            "own" selects on the validation part that the set comes with.
        test_fraction: Part of a class's images for tests, rounded down,
            between 0 and 1; for sets that have one part alone.
        train_per_class: At most so many training images of each class;
            None takes all.
        validation_per_class: Of validation images, likewise.
        test_per_class: Of test images, likewise.
        statistics: "train" standardises every split by the mean and deviation
            of the task's training images, "split" each split by its own,
            "none" leaves pixels between 0 and 1. A pair `(mean, std)`, each a
            number or one per channel, in the unit of pixels / 255, holds for
            all tasks.
        pairs: `{task name: data set of pairs}` of tasks that are measured by
            telling persons apart (`PairSplit`): tests by the set, validation
            by pairs of held-out images (or by the set, if
            `selection_split` is "test").
        pairs_per_class: Such pairs of each kind per person, at most.
        data_seed: Seed of the shuffling inside a class, and of the pairs.
            None leaves the images of a class in their stored order.
        memory: `MemoryLimits` of decoded images; None for its defaults.
        data_dir: Folder of prepared TFDS data sets.

    Returns:
        A `TaskStream` of uint8 images `(image_size, image_size, channels)`.

    Raises:
        UserError: If a data set is unknown, not there, damaged, without a
            training part, or leaves a split without images.
        ValueError: If an argument breaks its rule.
    """
    _say(scenario)
    limits = (train_per_class, validation_per_class, test_per_class)
    given = (task_names, resize, batch_size, train_crop)
    names, resizes, sizes, crops = _per_task(datasets, *given)
    pairs = dict(pairs or {})
    _check_pairs(pairs, names, data_seed)
    statistics = checked_statistics(statistics, channels)
    shape = (image_size, image_size, channels)
    held_out = {"validation": validation_fraction}.get(selection_split)
    own = selection_split == "own"
    drawn_pairs = None if selection_split == "test" else pairs_per_class
    tasks, held = [], HeldTasks(memory)
    values = zip(datasets, names, resizes, sizes, crops)
    for dataset, task_name, how, size, crop in values:
        known = (dataset, test_fraction, data_dir, shape, how, own)
        parts = open_parts(*known, memory)
        pools = pools_of(parts, held_out, test_fraction, data_seed, _REMEDIES)
        chosen = _limited(pools, limits)
        splits = held.add(pools.load(chosen, task_name, *held.next(), crop))
        named = (len(tasks), task_name, pools.class_names)
        task = assemble_task(*named, splits, statistics, tasks, how)
        if task_name in pairs:
            assert data_seed is not None
            found = open_pairs(pairs[task_name], data_dir, shape, how, memory)
            task = measured_by_pairs(task, found, drawn_pairs, data_seed)
        tasks.append(dataclasses.replace(task, batch_size=size))
    return _stream(name, tasks, max(sizes), scenario)


def _say(scenario):
    if scenario != TASK:  # What streams are unless they say so.
        announce(scenario, "dataset_stream")


def _stream(name, tasks, batch_size, scenario):
    """The `TaskStream`, whose domains have the same classes."""
    for task in tasks if scenario == DOMAIN else ():
        if task.class_names != tasks[0].class_names:
            raise ValueError(
                "Argument `scenario`='domain' needs data sets of the same "
                f"classes. Received: '{tasks[0].name}' with "
                f"{tasks[0].num_classes} classes, '{task.name}' with "
                f"{task.num_classes}, of other names. Leave it 'task'."
            )
    name = name or f"datasets_{len(tasks)}"
    return TaskStream(name, tasks, batch_size, scenario=scenario)


def _per_task(datasets, task_names, resize, batch_size, train_crop):
    """Names, ways to resize, batch sizes and crops of all tasks."""
    if not len(datasets):
        raise ValueError(
            "Argument `datasets` must list at least one name of the catalog. "
            f"Received: datasets={datasets!r}"
        )
    names = list(datasets) if task_names is None else list(task_names)
    resizes, sizes = resize, batch_size
    if isinstance(resize, str):
        resizes = [resize] * len(datasets)
    if isinstance(batch_size, int):
        sizes = [batch_size] * len(datasets)
    crops = train_crop
    if not isinstance(train_crop, (list, tuple)):
        crops = [train_crop] * len(datasets)
    for argument, values in (
        ("task_names", names),
        ("resize", resizes),
        ("batch_size", sizes),
        ("train_crop", crops),
    ):
        if len(values) != len(datasets):
            raise ValueError(
                f"Argument `{argument}` must have one value per data set. "
                f"Received: {len(values)} for {len(datasets)} data sets"
            )
    return names, resizes, sizes, crops


def _check_pairs(pairs, task_names, data_seed):
    unknown = sorted(set(pairs) - set(task_names))
    if unknown:
        raise ValueError(
            "Argument `pairs` must name tasks of the stream: "
            f"{', '.join(task_names)}. Received: {unknown}"
        )
    if pairs and data_seed is None:
        raise ValueError(
            "Argument `data_seed` must be a number with `pairs`, which are "
            "drawn from it. Received: data_seed=None"
        )


def _limited(pools, limits):
    """Per split, per class the indices of at most so many images."""
    labels = range(len(pools.class_names))
    return [
        [pools.pools[label][which][:limit] for label in labels]
        for which, limit in enumerate(limits)
    ]
