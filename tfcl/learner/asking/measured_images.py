"""Test images of a run, by which a quantised export is measured."""

from __future__ import annotations

import typing

from absl import logging

from tfcl import configuration
from tfcl.data.run_folder import made_for
from tfcl.engine.continuing.resuming import data_folder
from tfcl.engine.serving.quantization import measured_by
from tfcl.engine.storage.checkpoints import newest_journal
from tfcl.engine.storage.journal import Journal
from tfcl.errors import TfclError
from tfcl.learner.kept_tasks import KeptTasks

if typing.TYPE_CHECKING:
    import pathlib

    from tfcl.data.task import Task
    from tfcl.engine.serving.quantization import Measured
    from tfcl.types import Folder


def measured_images(
    model_dir: pathlib.Path, data_dir: Folder | None = None
) -> dict[str, Measured]:
    """The test images of the tasks of a run, as far as they are at hand.

    A run of `tfcl.Learner` keeps them; for one of `tfcl train` its stream is
    opened, as its configuration tells, which is loaded.

    Args:
        model_dir: Folder of the run.
        data_dir: Folder of TFDS data sets; None for that of the run.

    Returns:
        `{task name: Measured}`, without tasks that are not measured by images;
        {} where the data are gone.
    """
    try:
        tasks = _tasks(model_dir, data_dir)
    except (TfclError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        logging.warning(
            "The test images of the run are not at hand: %s", reason
        )
        return {}
    found = {task.name: measured_by(task) for task in tasks}
    return {name: each for name, each in found.items() if each is not None}


def _tasks(model_dir, data_dir) -> list[Task]:
    kept = KeptTasks(model_dir)
    if kept.names:
        return [kept.task(index, ()) for index in range(len(kept.names))]
    journal = newest_journal(model_dir) or Journal()
    stream = configuration.build("Experiment.stream")
    with made_for(model_dir):
        return list(stream(data_dir=data_folder(journal, data_dir)))
