"""Test images of a run, by which a quantised export is measured."""

from __future__ import annotations

import typing

import numpy as np
from absl import logging

from tfcl import configuration
from tfcl.data.pairs import PairSplit
from tfcl.data.run_folder import made_for
from tfcl.engine.resuming import data_folder
from tfcl.engine.serving.quantization import MOST_IMAGES, Measured
from tfcl.engine.storage.checkpoints import newest_journal
from tfcl.engine.storage.journal import Journal
from tfcl.errors import TfclError
from tfcl.learner.kept_tasks import KeptTasks

if typing.TYPE_CHECKING:
    import pathlib

    from tfcl.data.task import Task
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
        `{task name: Measured}` of at most `MOST_IMAGES` images each; without
        tasks that are measured otherwise, and {} where the data are gone.
    """
    try:
        tasks = _tasks(model_dir, data_dir)
    except (TfclError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        logging.warning(
            "The test images of the run are not at hand: %s", reason
        )
        return {}
    found = {}
    for task in tasks:
        split = task.test
        if isinstance(split, PairSplit) or split.images.dtype != np.uint8:
            continue
        # All classes, though a split may have them one after another.
        order = np.random.default_rng(0).permutation(len(split.labels))
        rows = np.sort(order[:MOST_IMAGES])
        found[task.name] = Measured(split.images[rows], split.labels[rows])
    return found


def _tasks(model_dir, data_dir) -> list[Task]:
    kept = KeptTasks(model_dir)
    if kept.names:
        return [kept.task(index, ()) for index in range(len(kept.names))]
    journal = newest_journal(model_dir) or Journal()
    stream = configuration.build("Experiment.stream")
    with made_for(model_dir):
        return list(stream(data_dir=data_folder(journal, data_dir)))
