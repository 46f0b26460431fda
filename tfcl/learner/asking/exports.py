"""Exports of a run, as commands and programs ask for them."""

from __future__ import annotations

import typing

from tfcl.engine.serving.export_options import NONE
from tfcl.engine.serving.quantization import Examples, examples_of
from tfcl.learner.asking.tasks_at_hand import tasks_at_hand

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping, Sequence

    from tfcl.data.task import Task
    from tfcl.engine.serving.export_options import ExportOptions
    from tfcl.engine.serving.learned import LearnedTasks
    from tfcl.learner.task import Task as GivenTask
    from tfcl.types import Folder


def exported(
    learned: LearnedTasks,
    tasks: Sequence[str] | None,
    folder: str | None,
    options: ExportOptions,
    data_dir: Folder | None = None,
    given: Mapping[str, GivenTask] | None = None,
) -> list[pathlib.Path]:
    """Exports tasks of a run; returns the paths.

    Args:
        learned: `LearnedTasks`; the run's configuration is loaded.
        tasks: Names; None or none for all of them.
        folder: Where to; None for `export` in the run's folder.
        options: `ExportOptions`.
        data_dir: Folder of TFDS data sets, for images that quantised files
            need; None for that of the run.
        given: As of `tasks_at_hand`.

    Raises:
        UserError: If there is no such task, the options do not fit, or images
            that a file cannot do without are not at hand.
    """
    options.check()
    learned.refuse_none()
    entries = [learned.find(name) for name in tasks or learned.names]
    if options.bundle:
        return [learned.export_bundle(entries, folder, options)]
    tasks_with_images: dict[str, Task] = {}
    if options.quantize != NONE:
        tasks_with_images = tasks_at_hand(learned.model_dir, data_dir, given)
    paths = []
    for entry in entries:
        examples = Examples()
        if entry.name in tasks_with_images:
            task = tasks_with_images[entry.name]
            examples = examples_of(task, options, learned.seed)
        paths.append(learned.export(entry, folder, options, examples))
    return paths
