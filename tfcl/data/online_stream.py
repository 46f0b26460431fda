"""Any stream of tasks as one task without borders, to be seen once."""

import dataclasses

import gin
import numpy as np

from tfcl.data.arguments import check_choice
from tfcl.data.split import joined
from tfcl.data.task import TaskStream

_LABELS = ("class", "domain")


@gin.configurable(denylist=["data_dir"])
def online_stream(
    stream=gin.REQUIRED,
    labels: str = "class",
    batch_size: int = 1,
    data_dir: str | None = None,
) -> TaskStream:
    """Joins the tasks of a stream into one, whose groups are those tasks.

    Args:
        stream: Stream factory, a function of `data_dir`.
        labels: "class": every task brings classes of its own
            (class-incremental); "domain": all tasks have the same classes.
        batch_size: Examples per step. What a task has beyond whole batches
            is left out of its training split.
        data_dir: Folder of prepared TFDS data sets.

    Raises:
        ValueError: If classes of tasks differ for "domain", or a task has
            fewer training examples than a batch.
    """
    check_choice("labels", labels, _LABELS)
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
        class_names = _unique(tasks)
    splits = {
        split: joined([getattr(t, split) for t in tasks], offsets)
        for split in ("validation", "test")
    }
    trains = [_whole_batches(task, batch_size) for task in tasks]
    task = dataclasses.replace(
        tasks[0],
        name=f"{parted.name}_online",
        class_names=class_names,
        train=joined(trains, offsets),
        **splits,
    )
    return TaskStream(task.name, [task], batch_size)


def _whole_batches(task, size):
    count = len(task.train) // size * size
    if not count:
        raise ValueError(
            f"Argument `batch_size` must not be larger than the training split "
            f"of any task; '{task.name}' has {len(task.train)} examples. "
            f"Received: batch_size={size}"
        )
    return task.train.taken(np.arange(count))


def _unique(tasks):
    """Class names of all tasks; repeated ones with that of their task."""
    plain = [name for task in tasks for name in task.class_names]
    repeated = {name for name in plain if plain.count(name) > 1}
    return tuple(
        f"{task.name}/{name}" if name in repeated else name
        for task in tasks
        for name in task.class_names
    )
