"""A stream whose tasks bring new classes to one growing set of answers."""

from __future__ import annotations

import dataclasses
import typing

import gin
import numpy as np

from tfcl.data.scenario import CLASS, announce
from tfcl.data.scenarios.online_stream import unique_class_names
from tfcl.data.task import TaskStream
from tfcl.errors import UserError
from tfcl.types import Folder

if typing.TYPE_CHECKING:
    from collections.abc import Callable

    from tfcl.data.task import Task


@gin.configurable(denylist=["data_dir"])
def class_incremental_stream(
    stream: Callable[..., TaskStream] = gin.REQUIRED,
    data_dir: Folder | None = None,
) -> TaskStream:
    """Numbers the classes of a stream's tasks one after another.

    Every task knows the names of all classes; its labels are those of its own.
    So methods answer with any class that they have seen, and the accuracy on
    a task counts confusions with other tasks' classes. A test image comes
    without its task: methods that need it are refused.

    Args:
        stream: Stream factory, a function of `data_dir`. Classes of one name
            in several tasks are several classes.
        data_dir: Folder of prepared TFDS data sets.

    Raises:
        ValueError: If a task comes twice.
    """
    announce(CLASS, "class_incremental_stream")
    parted = stream(data_dir=data_dir)
    if len(parted.visits) > len(parted):
        raise ValueError(
            "Argument `stream` must bring every task once. Received: "
            f"{len(parted.visits)} visits of {len(parted)} tasks"
        )
    names = unique_class_names(parted)
    tasks, offset = [], 0
    for task in parted:
        splits = {
            name: dataclasses.replace(
                getattr(task, name), labels=getattr(task, name).labels + offset
            )
            for name in ("train", "validation", "test")
        }
        offset += task.num_classes
        tasks.append(
            dataclasses.replace(
                task,
                class_names=names,
                own_classes=task.class_names,
                earlier=tuple(tasks),
                **splits,
            )
        )
    return TaskStream(
        f"{parted.name}_class_incremental",
        tasks,
        parted.batch_size,
        scenario=CLASS,
    )


def first_classes(task: Task) -> tuple[int, int]:
    """Smallest label of a task's training split, and how many there are.

    Raises:
        UserError: If it trains on classes of other tasks, too.
    """
    known = np.unique(task.train.labels)
    own = task.own_classes
    if own is not None and len(known) > len(own):
        raise UserError(
            f"Task '{task.name}' brings {len(own)} classes and trains on "
            f"{len(known)}: others come again, as in blurry_stream, and a head "
            "per task cannot learn them. Use a method with one head, such as "
            "rehearsal."
        )
    return int(known[0]), len(known)
