"""A stream whose tasks are data sets, one whole set each."""

import dataclasses

import gin
import numpy as np

from tfcl.data import catalog, tfds_source
from tfcl.data.arguments import check_choice
from tfcl.data.class_pools import SPLITS, ClassPools, shuffled
from tfcl.data.pairs import measured_by_pairs, open_pairs
from tfcl.data.pictures import LARGEST_STREAM
from tfcl.data.preprocessing import RESIZES
from tfcl.data.task import TaskStream
from tfcl.data.task_assembly import assemble_task, checked_statistics

_SELECTION = ("validation", "test", "own")


@gin.configurable(denylist=["data_dir"])
def dataset_stream(
    datasets: list = gin.REQUIRED,
    image_size: int = gin.REQUIRED,
    batch_size: int | list = gin.REQUIRED,
    task_names: list | None = None,
    channels: int = 3,
    resize: str | list = "stretch",
    name: str | None = None,
    validation_fraction: float = 1.0 / 6.0,
    selection_split: str = "validation",
    test_fraction: float | None = None,
    train_per_class: int | None = None,
    validation_per_class: int | None = None,
    test_per_class: int | None = None,
    statistics: str | tuple = "train",
    pairs: dict | None = None,
    pairs_per_class: int = 4,
    data_seed: int | None = 0,
    data_dir: str | None = None,
) -> TaskStream:
    """Makes one task of each data set, with all of its classes.

    Which part of a set is for what: its training part, as the catalog names
    it, is shuffled once per class; the first `validation_fraction` of a class
    is held out for validation, the rest is for training. The part that the
    catalog names for tests (with some sets their "validation") is for tests.
    Of a set that has one part alone, the first `test_fraction` of every
    shuffled class is for tests, and what is left takes the place of the
    training part. Any further part, such as the validation pictures of
    `oxford_flowers102`, is used with `selection_split="own"` alone.

    Sets of more than a GiB stay encoded, and are decoded batch by batch. Once
    the tasks before hold 4 GiB, a smaller set is decoded when its turn comes.

    Args:
        datasets: Names in `tfcl.data.catalog`, one per task, in order.
        image_size: Height and width of all pictures, in pixels.
        batch_size: Examples per training step over all replicas; one number,
            or a list with one per task.
        task_names: Names of the tasks. Defaults to those of the sets.
        channels: 3, or 1 for grey pictures.
        resize: How pictures of other shapes are brought to `image_size`:
            "stretch", "crop" or "bilinear" (`tfcl.data.preprocessing`), one
            for all or a list with one per task.
        name: Name of the stream. Defaults to `datasets_<tasks>`.
        validation_fraction: Part of a class's training pictures held out,
            rounded down, between 0 and 1.
        selection_split: "validation" selects epochs, goals and widths on the
            held-out pictures; "test" holds none out and selects on the test
            pictures, as some published programs do: say so with the result;
            "own" selects on the validation part that the set comes with.
        test_fraction: Part of a class's pictures for tests, rounded down,
            between 0 and 1; for sets that have one part alone.
        train_per_class: At most so many training pictures of each class;
            None takes all.
        validation_per_class: Of validation pictures, likewise.
        test_per_class: Of test pictures, likewise.
        statistics: "train" standardises every split by the mean and deviation
            of the task's training pictures, "split" each split by its own,
            "none" leaves pixels between 0 and 1. A pair `(mean, std)`, each a
            number or one per channel, in the unit of pixels / 255, holds for
            all tasks.
        pairs: `{task name: data set of pairs}` of tasks that are measured by
            telling persons apart (`PairSplit`): tests by the set, validation
            by pairs of held-out pictures (or by the set, if
            `selection_split` is "test").
        pairs_per_class: Such pairs of each kind per person, at most.
        data_seed: Seed of the shuffling inside a class, and of the pairs.
            None leaves the pictures of a class in their stored order.
        data_dir: Folder of prepared TFDS data sets.

    Returns:
        A `TaskStream` of uint8 pictures `(image_size, image_size, channels)`.

    Raises:
        UserError: If a data set is unknown, not there, damaged, without a
            training part, or leaves a split without pictures.
        ValueError: If an argument breaks its rule.
    """
    limits = (train_per_class, validation_per_class, test_per_class)
    names, resizes, sizes = _per_task(datasets, task_names, resize, batch_size)
    pairs = dict(pairs or {})
    _check_pairs(pairs, names, pairs_per_class, data_seed)
    _check_sizes(image_size, channels, limits)
    _check_fractions(validation_fraction, test_fraction)
    check_choice("selection_split", selection_split, _SELECTION)
    statistics = checked_statistics(statistics, channels)
    shape = (image_size, image_size, channels)
    held_out = {"validation": validation_fraction}.get(selection_split)
    own = selection_split == "own"
    tasks, held = [], 0
    for dataset, task_name, how, size in zip(datasets, names, resizes, sizes):
        parts = _opened(dataset, test_fraction, own, data_dir, shape, how)
        pools = _pools(parts, held_out, test_fraction, data_seed)
        # Only what came before decides, so that a longer stream goes on.
        splits = pools.load(
            _limited(pools, limits), task_name, now=held < LARGEST_STREAM
        )
        held += sum(x.nbytes for x, _ in splits if isinstance(x, np.ndarray))
        task = assemble_task(
            len(tasks),
            task_name,
            pools.class_names,
            splits,
            statistics,
            tasks,
            how,
        )
        if task_name in pairs:
            task = measured_by_pairs(
                task,
                open_pairs(pairs[task_name], data_dir, shape, how),
                None if selection_split == "test" else pairs_per_class,
                data_seed,
            )
        tasks.append(dataclasses.replace(task, batch_size=size))
    return TaskStream(name or f"datasets_{len(tasks)}", tasks, max(sizes))


def _per_task(datasets, task_names, resize, batch_size):
    """Names, ways to resize and batch sizes of all tasks."""
    if isinstance(datasets, str) or not len(datasets):
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
    for argument, values in (
        ("task_names", names),
        ("resize", resizes),
        ("batch_size", sizes),
    ):
        if len(values) != len(datasets):
            raise ValueError(
                f"Argument `{argument}` must have one value per data set. "
                f"Received: {len(values)} for {len(datasets)} data sets"
            )
    for each in resizes:
        check_choice("resize", each, RESIZES)
    return names, resizes, sizes


def _check_pairs(pairs, task_names, pairs_per_class, data_seed):
    unknown = sorted(set(pairs) - set(task_names))
    if unknown:
        raise ValueError(
            "Argument `pairs` must name tasks of the stream: "
            f"{', '.join(task_names)}. Received: {unknown}"
        )
    if pairs_per_class < 1:
        raise ValueError(
            "Argument `pairs_per_class` must be at least 1. "
            f"Received: pairs_per_class={pairs_per_class}"
        )
    if pairs and data_seed is None:
        raise ValueError(
            "Argument `data_seed` must be a number with `pairs`, which are "
            "drawn from it. Received: data_seed=None"
        )


def _check_sizes(image_size, channels, limits):
    if image_size < 1:
        raise ValueError(
            "Argument `image_size` must be a positive number of pixels. "
            f"Received: image_size={image_size}"
        )
    check_choice("channels", channels, (1, 3))
    for split, count in zip(SPLITS, limits):
        if count is not None and count < 1:
            raise ValueError(
                f"Argument `{split}_per_class` must be at least 1, or None "
                f"for all pictures. Received: {split}_per_class={count}"
            )


def _check_fractions(validation_fraction, test_fraction):
    for argument, value in (
        ("validation_fraction", validation_fraction),
        ("test_fraction", test_fraction),
    ):
        if value is not None and not 0.0 < value < 1.0:
            raise ValueError(
                f"Argument `{argument}` must lie between 0 and 1. "
                f"Received: {argument}={value}"
            )


def _opened(dataset, test_fraction, own, data_dir, shape, resize):
    """`LabelledImages` of the training and of the test part, or one; with
    `own` the set's validation part between them."""
    source = catalog.find(dataset)
    if source.test_split is None and test_fraction is None:
        raise ValueError(
            f"Argument `test_fraction` must be given for '{dataset}', which "
            "has one part alone: it says which part of each class is for "
            f"tests. Received: test_fraction={test_fraction}"
        )
    parts = ("train",) if source.test_split is None else ("train", "test")
    if own:
        if None in (source.test_split, source.validation_split):
            raise ValueError(
                "Argument `selection_split`='own' needs data sets that come "
                f"with a validation and a test part; '{dataset}' does not: "
                "use 'validation'. Received: selection_split='own'"
            )
        parts = ("train", "validation", "test")
    return [
        tfds_source.open_split(dataset, part, data_dir, shape, resize)
        for part in parts
    ]


def _pools(parts, held_out, test_fraction, data_seed):
    """The `ClassPools` of a set; `held_out` None selects on test pictures."""
    remedies = (
        "",
        "Hold out another part (dataset_stream.validation_fraction, "
        "dataset_stream.test_fraction), or leave the set out.",
    )
    if len(parts) == 1:
        return _cut(parts[0], held_out, test_fraction, data_seed, remedies)
    if len(parts) == 3:
        return ClassPools.given(*parts, data_seed, remedies)
    if held_out is None:
        return ClassPools.selected_on_test(*parts, data_seed, remedies)
    return ClassPools.held_out(*parts, held_out, data_seed, remedies)


def _cut(source, held_out, test_fraction, data_seed, remedies):
    """Three pools out of the only part of a set."""
    pools = {}
    for label in range(len(source.class_names)):
        mine = shuffled(source, label, data_seed)
        count = int(len(mine) * test_fraction)
        tested, rest = mine[:count], mine[count:]
        if held_out is None:
            pools[label] = (rest, tested, tested)
            continue
        count = int(len(rest) * held_out)
        pools[label] = (rest[count:], rest[:count], tested)
    return ClassPools((source,) * 3, pools, remedies)


def _limited(pools, limits):
    """Per split, per class the indices of at most so many pictures."""
    labels = range(len(pools.class_names))
    return [
        [pools.pools[label][which][:limit] for label in labels]
        for which, limit in enumerate(limits)
    ]
