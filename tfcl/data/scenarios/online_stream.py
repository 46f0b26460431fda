"""Any stream of tasks as one task without borders, to be seen once."""

from __future__ import annotations

import dataclasses
import typing
from typing import Annotated

import gin
import numpy as np

from tfcl.arguments import PositiveInt, checked, one_of, within
from tfcl.data.scenario import ONLINE
from tfcl.data.split import joined
from tfcl.data.task import TaskStream
from tfcl.types import Folder

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tfcl.data.task import Task


@gin.configurable(denylist=["data_dir"])
@checked
def online_stream(
    stream: Callable[..., TaskStream] = gin.REQUIRED,
    labels: Annotated[str, one_of("class", "domain")] = "class",
    by_class: bool = False,
    batch_size: PositiveInt = 1,
    validated_share: Annotated[float, within("(0, 1]")] = 1.0,
    data_dir: Folder | None = None,
) -> TaskStream:
    """Joins the tasks of a stream into one; each is a distribution of it.

    Args:
        stream: Stream factory, a function of `data_dir`.
        labels: "class": every task brings classes of its own
            (class-incremental); "domain": all tasks have the same classes.
        by_class: Whether the classes of a task come one after another, each
            a distribution of its own.
        batch_size: Examples per step. What a distribution has beyond whole
            batches is left out of the training split.
        validated_share: Part of the distributions, from the first on, that
            the validation split knows: hyper-parameters are then chosen by
            the beginning of the stream. At least one.
        data_dir: Folder of prepared TFDS data sets.

    Raises:
        ValueError: If classes of tasks differ for "domain", a distribution
            has fewer training examples than a batch, or an argument breaks
            its rule.
    """
    parted = stream(data_dir=data_dir)
    tasks = list(parted)
    names = [task.class_names for task in tasks]
    if labels == "domain":
        if len(set(names)) > 1:
            raise ValueError(
                "Argument `labels`='domain' needs tasks of the same classes; "
                "use 'class'. Received: tasks with the classes "
                f"{sorted(set(names))}"
            )
        offsets, class_names = [0] * len(tasks), names[0]
    else:
        offsets = np.cumsum([0, *map(len, names[:-1])]).tolist()
        class_names = unique_class_names(tasks)
    splits = {
        split: _joined(tasks, split, offsets, by_class)
        for split in ("train", "validation", "test")
    }
    splits["validation"] = _first(splits["validation"], validated_share)
    splits["train"] = _whole_batches(splits["train"], batch_size)
    task = dataclasses.replace(
        tasks[0],
        name=f"{parted.name}_online",
        class_names=class_names,
        domains=(),  # Groups are now the distributions of the whole.
        **splits,
    )
    return TaskStream(task.name, [task], batch_size, scenario=ONLINE)


def _joined(tasks, name, offsets, by_class):
    """One split of all tasks, a group per distribution."""
    splits = [getattr(task, name) for task in tasks]
    if by_class:
        splits = [s.taken(np.argsort(s.labels, kind="stable")) for s in splits]
    result = joined(splits, offsets)
    if not by_class:
        return result
    counts = [task.num_classes for task in tasks]
    begins = np.cumsum([0, *counts[:-1]])
    numbers = np.concatenate(
        [s.labels + begin for s, begin in zip(splits, begins)]
    )
    return dataclasses.replace(
        result,
        groups=numbers,
        mean=np.repeat(result.mean, counts, axis=0),
        std=np.repeat(result.std, counts, axis=0),
    )


def _first(split, share):
    """The part of a split that lies in the first distributions."""
    count = max(1, round(share * len(split.mean)))
    if count == len(split.mean):
        return split
    part = split.taken(np.flatnonzero(split.groups < count))
    return dataclasses.replace(
        part, mean=split.mean[:count], std=split.std[:count]
    )


def _whole_batches(split, size):
    if size == 1:
        return split
    kept = []
    for group in np.unique(split.groups):
        mine = np.flatnonzero(split.groups == group)
        if len(mine) < size:
            raise ValueError(
                "Argument `batch_size` must not be larger than the training "
                f"data of a distribution; number {group} has {len(mine)} "
                f"examples. Received: batch_size={size}"
            )
        kept.append(mine[: len(mine) // size * size])
    return split.taken(np.concatenate(kept))


def unique_class_names(tasks: Iterable[Task]) -> tuple[str, ...]:
    """Class names of all tasks; repeated ones with that of their task."""
    plain = [name for task in tasks for name in task.class_names]
    repeated = {name for name in plain if plain.count(name) > 1}
    return tuple(
        f"{task.name}/{name}" if name in repeated else name
        for task in tasks
        for name in task.class_names
    )
