"""Exports of a run, as commands and programs ask for them."""

from __future__ import annotations

import typing

from tfcl.engine.serving.export_options import NONE
from tfcl.learner.asking.measured_images import measured_images

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Sequence

    from tfcl.engine.serving.export_options import ExportOptions
    from tfcl.engine.serving.learned import LearnedTasks
    from tfcl.types import Folder


def exported(
    learned: LearnedTasks,
    tasks: Sequence[str] | None,
    folder: str | None,
    options: ExportOptions,
    data_dir: Folder | None = None,
) -> list[pathlib.Path]:
    """Exports tasks of a run; returns the paths.

    Args:
        learned: `LearnedTasks`; the run's configuration is loaded.
        tasks: Names; None or none for all of them.
        folder: Where to; None for `export` in the run's folder.
        options: `ExportOptions`.
        data_dir: Folder of TFDS data sets, for test images by which quantised
            files are measured; None for that of the run.

    Raises:
        UserError: If there is no such task, or the options do not fit.
    """
    options.check()
    learned.refuse_none()
    entries = [learned.find(name) for name in tasks or learned.names]
    if options.bundle:
        return [learned.export_bundle(entries, folder, options)]
    images = {}
    if options.quantize != NONE:
        images = measured_images(learned.model_dir, data_dir)
    return [
        learned.export(entry, folder, options, images.get(entry.name))
        for entry in entries
    ]
