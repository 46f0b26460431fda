"""The tasks that a Python program has given, as a stream."""

from __future__ import annotations

import typing

import gin

from tfcl.arguments import PositiveInt, checked
from tfcl.data.run_folder import run_folder
from tfcl.data.task import Task, TaskStream
from tfcl.errors import UserError
from tfcl.learner.kept_tasks import KeptTasks, with_index

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfcl.types import Folder


NAME = "learner"


@gin.configurable(denylist=["data_dir"])
@checked
def kept_stream(
    batch_size: PositiveInt = gin.REQUIRED, data_dir: Folder | None = None
) -> TaskStream:
    """The tasks that `tfcl.Learner` has kept in the folder of the run.

    Training and validation images are not kept: only the program that gave
    them goes on with a task that is not yet learned.

    Args:
        batch_size: Examples per training step over all replicas.
        data_dir: Accepted like every stream's, not needed.

    Raises:
        UserError: Outside of a run of `tfcl.Learner`.
        RunError: If a file of the folder is damaged.
    """
    del data_dir
    folder = run_folder()
    kept = None if folder is None else KeptTasks(folder)
    if kept is None or not kept.names:
        raise UserError(
            f"No task of a Python program is kept in {folder}. Give "
            "--model_dir the folder of a tfcl.Learner."
        )
    return stream_of(kept, len(kept.names), None, {}, batch_size)


def stream_of(
    kept: KeptTasks,
    count: int,
    here: Task | None,
    again: Mapping[str, Callable[[], Task]],
    batch_size: int,
) -> TaskStream:
    """The first tasks of a run as a stream.

    Args:
        kept: `KeptTasks` with at least `count` tasks.
        count: How many.
        here: The one whose data this process has, if any.
        again: `{name: function}` that opens another one when its data are
            asked for.
        batch_size: Examples per training step over all replicas.
    """
    tasks: list[Task] = []
    for index, name in enumerate(kept.names[:count]):
        if here is not None and here.name == name:
            tasks.append(with_index(here, index, tasks))
        else:
            tasks.append(kept.task(index, tasks, again.get(name)))
    return TaskStream(NAME, tasks, batch_size)
