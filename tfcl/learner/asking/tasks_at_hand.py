"""Tasks of a run with their images, for quantised exports."""

from __future__ import annotations

import typing

from absl import logging

from tfcl import configuration
from tfcl.data.run_folder import made_for
from tfcl.engine.continuing.resuming import data_folder
from tfcl.engine.storage.checkpoints import newest_journal
from tfcl.engine.storage.journal import Journal
from tfcl.errors import TfclError
from tfcl.learner.kept_tasks import KeptTasks
from tfcl.learner.task_data import openers

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

    from tfcl.data.task import Task
    from tfcl.learner.task import Task as GivenTask
    from tfcl.types import Folder


def tasks_at_hand(
    model_dir: pathlib.Path,
    data_dir: Folder | None = None,
    given: Mapping[str, GivenTask] | None = None,
) -> dict[str, Task]:
    """The tasks of a run with their images, as far as they are at hand.

    A run of `tfcl.Learner` keeps the test images; for one of `tfcl train` its
    stream is opened, as its configuration tells, which is loaded.

    Args:
        model_dir: Folder of the run.
        data_dir: Folder of TFDS data sets; None for that of the run.
        given: `tfcl.Task`s of a program by name, which are opened when
            training or validation images are asked for.

    Returns:
        `{task name: Task}`; {} where the data are gone.
    """
    try:
        return _tasks(model_dir, data_dir, given or {})
    except (TfclError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        logging.warning("The images of the run are not at hand: %s", reason)
        return {}


def _tasks(model_dir, data_dir, given) -> dict[str, Task]:
    kept, journal = KeptTasks(model_dir), newest_journal(model_dir) or Journal()
    if kept.names:
        kept.follow(journal)
        again = openers(given, kept, data_dir)
        return {
            name: kept.task(index, (), again.get(name))
            for index, name in enumerate(kept.names)
        }
    stream = configuration.build("Experiment.stream")
    with made_for(model_dir):
        tasks = stream(data_dir=data_folder(journal, data_dir))
    found = {task.name: task for task in tasks}
    # The stream knows a renamed task by the name that it was learned by.
    renamed = {
        record.name: found[record.first_name]
        for record in journal.visits
        if record.first_name in found
    }
    return {**found, **renamed}
