"""A stream whose tasks come more than once."""

from __future__ import annotations

import typing

import gin

from tfcl.data.task import TaskStream
from tfcl.types import Folder

if typing.TYPE_CHECKING:
    from collections.abc import Callable


@gin.configurable(denylist=["data_dir"])
def repeated_stream(
    stream: Callable[..., TaskStream] = gin.REQUIRED,
    order: list = gin.REQUIRED,
    data_dir: Folder | None = None,
) -> TaskStream:
    """Puts the tasks of a stream into an order with repeats.

    A task seen again goes on from what it had learned.

    Args:
        stream: Stream factory, a function of `data_dir`.
        order: Indices of tasks in the order of learning. Every task comes at
            least once, new ones in the stream's order.
        data_dir: Folder of prepared TFDS data sets.

    Raises:
        ValueError: If `order` leaves a task out or brings a new one too early.

    Reference:
        Lee, Behpour, Eaton, ICML 2021: task orders 1 and 2 of their programs
        are 0-4, 0-9 and twice 0-9.
    """
    once = stream(data_dir=data_dir)
    return TaskStream(
        f"{once.name}_repeated",
        once.tasks,
        once.batch_size,
        order,
        once.scenario,
    )
