"""A finished (or stopped) run, opened to serve its tasks without data."""

from __future__ import annotations

import pathlib
import typing

import tensorflow as tf
from absl import logging

from tfcl.data.task import StreamSpec
from tfcl.engine.serving.bundle import export_bundle
from tfcl.engine.serving.export import (
    check_takes_images,
    export_task,
    with_answers_of_today,
)
from tfcl.engine.storage.bank import Bank
from tfcl.engine.storage.checkpoints import CheckpointPolicy, Checkpoints
from tfcl.engine.storage.start_files import StartFiles
from tfcl.errors import UserError
from tfcl.files import read_json
from tfcl.methods.protocols import grow_to
from tfcl.models.start_files import kept_by

if typing.TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from tfcl.engine.storage.bank import BankedTask
    from tfcl.methods.base import Method
    from tfcl.types import Tensor


class LearnedTasks:
    """The tasks that a run has learned.

    Args:
        model_dir: Folder of the run.
        method: The run's method, not yet set up.

    Raises:
        UserError: If the run has not learned a task yet.
        RunError: If its files are damaged.
    """

    def __init__(self, model_dir: str | pathlib.Path, method: Method):
        self.model_dir = pathlib.Path(model_dir)
        self.method = method
        self.bank = Bank(self.model_dir / "tasks", writes=False)
        checkpoints = Checkpoints(
            self.model_dir / "checkpoints", CheckpointPolicy(), writes=False
        )
        journal = checkpoints.newest()
        if journal is None or not journal.visits:
            raise UserError(
                f"--model_dir {model_dir} has not learned a task yet. Let "
                "tfcl.train finish one first."
            )
        if journal.position is not None:
            logging.warning(
                "The run is in the middle of task %d: layers that tasks "
                "share are as its training left them.",
                journal.position.task,
            )
        # The newest visit of each task.
        self._visits = {
            record.name: number for number, record in enumerate(journal.visits)
        }
        spec = StreamSpec.from_json(read_json(self.model_dir / "spec.json"))
        files = StartFiles(self.model_dir / "start", journal.start_files)
        with kept_by(files):
            method.setup(spec, seed=0)
            grow_to(method, journal.structure)
        checkpoints.restore(method, between_tasks=True)

    @property
    def names(self) -> list[str]:
        """Names of the learned tasks."""
        return list(self._visits)

    def find(self, name: str) -> BankedTask:
        """The `BankedTask` named `name`, or a `UserError` with the names."""
        if name not in self.names:
            raise UserError(
                f"No learned task '{name}' in --model_dir {self.model_dir}. "
                f"Learned tasks: {', '.join(self.names)}."
            )
        entry = self.bank.load(self._visits[name], name)
        return with_answers_of_today(self.method, entry)

    def probabilities(self, entry: BankedTask, images: Tensor) -> np.ndarray:
        """Class probabilities of images.

        Args:
            entry: `BankedTask`.
            images: uint8 `(n, height, width, 1, 3 or 4 channels)`.

        Returns:
            float32 `(n, classes)`.

        Raises:
            UserError: If the task's network does not take images.
        """
        check_takes_images(entry, self.method.spec.image_shape)
        self.method.activate(entry.values, entry.index)
        logits = self.method.predict(entry.preprocessing(images))
        return tf.nn.softmax(logits).numpy()[:, : len(entry.class_names)]

    def export(
        self, entry: BankedTask, folder: str | pathlib.Path | None = None
    ) -> pathlib.Path:
        """Writes the SavedModel of a `BankedTask`; returns its path."""
        folder = folder or self.model_dir / "export"
        return export_task(self.method, entry, folder)

    def export_bundle(
        self,
        entries: Sequence[BankedTask],
        folder: str | pathlib.Path | None = None,
    ) -> pathlib.Path:
        """Writes several `BankedTask`s as one SavedModel; returns its path."""
        folder = folder or self.model_dir / "export"
        return export_bundle(self.method, entries, folder)
