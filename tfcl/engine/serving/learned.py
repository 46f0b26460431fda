"""A finished (or stopped) run, opened to serve its tasks without data."""

from __future__ import annotations

import pathlib
import typing
import unicodedata

import numpy as np
import tensorflow as tf
from absl import logging

from tfcl import keras_state
from tfcl.data.task import StreamSpec
from tfcl.engine.continuing.resuming import refuse_unlearned
from tfcl.engine.serving.bundle import export_bundle
from tfcl.engine.serving.export import (
    check_takes_images,
    export_task,
    with_answers_of_today,
)
from tfcl.engine.serving.export_options import SAVED_MODEL, ExportOptions
from tfcl.engine.serving.formats import export_file
from tfcl.engine.serving.served_facts import ServedFacts
from tfcl.engine.serving.up_to_date import bundle_again
from tfcl.engine.storage.bank import Bank
from tfcl.engine.storage.checkpoints import CheckpointPolicy, Checkpoints
from tfcl.engine.storage.start_files import StartFiles
from tfcl.errors import RunError, UserError
from tfcl.files import local_path, read_json, refuse_special
from tfcl.methods.protocols import grow_to
from tfcl.models.start_files import kept_by

if typing.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfcl.engine.serving.quantization import Examples
    from tfcl.engine.storage.bank import BankedTask
    from tfcl.methods.base import Method
    from tfcl.types import Tensor


_AT_ONCE = 32  # Images in a batch.


class LearnedTasks:
    """The tasks that a run has learned.

    Args:
        model_dir: Folder of the run.
        method: The run's method, not yet set up.

    Attributes:
        bindings: gin bindings that the run was learned with, {} if none.
        seed: Of the run, 0 if its journal does not tell it.
        earlier_state: Says that the newest checkpoint is damaged and all is
            of one before it, or None.

    Raises:
        UserError: If the run has not learned a task yet.
        RunError: If its files are damaged.
    """

    def __init__(self, model_dir: str | pathlib.Path, method: Method):
        keras_state.refuse_other()
        self.model_dir = pathlib.Path(local_path(model_dir, "model_dir"))
        refuse_special(self.model_dir)
        self.method = method
        checkpoints = Checkpoints(
            self.model_dir / "checkpoints", CheckpointPolicy(), writes=False
        )
        journal = checkpoints.newest()
        refuse_unlearned(journal, model_dir)
        assert journal is not None, "it has learned"
        keras_state.refuse_other_floatx(journal.numerics or {}, model_dir)
        if journal.position is not None:
            logging.warning(
                "The run is in the middle of task %d: layers that tasks "
                "share are as its training left them.",
                journal.position.task,
            )
        self.bank = Bank(self.model_dir / "tasks", False, journal.first_names)
        # The newest visit of each task.
        self._visits = {
            record.name: number
            for number, record in enumerate(journal.visits)
            if not record.removed
        }
        self._facts = ServedFacts.of(journal)
        self.bindings = journal.bindings
        self.seed: int = (journal.facts or {}).get("seed", 0)
        self.earlier_state = checkpoints.earlier_state()
        spec = _spec(journal, self.model_dir / "spec.json")
        files = StartFiles(self.model_dir / "start", journal.start_files)
        with kept_by(files):
            method.setup(spec, seed=0)
            grow_to(method, journal.structure)
        checkpoints.restore(method, between_tasks=True)

    @property
    def names(self) -> list[str]:
        """Names of the learned tasks."""
        return list(self._visits)

    def refuse_none(self) -> None:
        """Refuses to serve a run whose tasks are all removed.

        Raises:
            UserError: With the way out.
        """
        if not self.names:
            raise UserError(
                f"All learned tasks of --model_dir {self.model_dir} are "
                "removed. Learn one, with `tfcl add` or the run's command."
            )

    def find(self, name: str) -> BankedTask:
        """The `BankedTask` named `name`, or a `UserError` with the names."""
        if name not in self.names:
            # Tasks of folders are called by the composed form of their names.
            name = unicodedata.normalize("NFC", name)
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

    def probabilities_of_each(
        self, entry: BankedTask, images: Sequence[np.ndarray]
    ) -> np.ndarray:
        """Class probabilities of images that may differ in size.

        Args:
            entry: `BankedTask`.
            images: uint8 `(height, width, 1, 3 or 4 channels)` each.

        Returns:
            float32 `(n, classes)`.

        Raises:
            UserError: If the task's network does not take images.
        """
        check_takes_images(entry, self.method.spec.image_shape)
        self.method.activate(entry.values, entry.index)
        rows = []
        for first in range(0, len(images), _AT_ONCE):
            batch = [
                entry.preprocessing(tf.constant(image[None]))
                for image in images[first : first + _AT_ONCE]
            ]
            logits = self.method.predict(tf.concat(batch, 0))
            rows.append(tf.nn.softmax(logits).numpy())
        return np.concatenate(rows)[:, : len(entry.class_names)]

    def export(
        self,
        entry: BankedTask,
        folder: str | pathlib.Path | None = None,
        options: ExportOptions | str = SAVED_MODEL,
        examples: Examples | None = None,
    ) -> pathlib.Path:
        """Writes a `BankedTask` to be served; returns the path.

        Args:
            entry: `BankedTask`.
            folder: Folder of exports; None for that of the run.
            options: `ExportOptions`, or a format alone.
            examples: Images of the task, for a quantised file.

        Raises:
            UserError: If the options do not fit, or the task's network.
        """
        folder = local_path(folder or self.model_dir / "export", "folder")
        if isinstance(options, str):
            options = ExportOptions(options)
        options.check()
        if options.form != SAVED_MODEL:
            return export_file(self.method, entry, folder, options, examples)
        return export_task(
            self.method, entry, folder, self._facts, options.reject_below
        )

    def export_bundle(
        self,
        entries: Sequence[BankedTask],
        folder: str | pathlib.Path | None = None,
        options: ExportOptions | None = None,
    ) -> pathlib.Path:
        """Writes several `BankedTask`s as one SavedModel; returns its path.

        Args:
            entries: `BankedTask`s; their order gives the tasks' numbers.
            folder: Folder of exports; None for that of the run.
            options: `ExportOptions` of a SavedModel.

        Raises:
            UserError: If the options are of another format, or see
                `export_bundle`.
        """
        folder = local_path(folder or self.model_dir / "export", "folder")
        options = options or ExportOptions(bundle=True)
        options.check()
        return export_bundle(
            self.method, entries, folder, self._facts, options.reject_below
        )

    def bundle_again(self, renamed: Mapping[str, str]) -> None:
        """Brings the run's bundle up to date, see `up_to_date.bundle_again`.

        Args:
            renamed: `{former name: name}`.
        """
        bundle_again(
            self.method,
            [self.find(name) for name in self.names],
            self.model_dir / "export",
            self._facts,
            renamed,
        )


def _spec(journal, path):
    """The `StreamSpec`: the journal's, and of older runs that of spec.json."""
    try:
        data = read_json(path)
        found = StreamSpec.from_json(data)
    except (OSError, ValueError, LookupError, TypeError) as error:
        data, found, fault = None, None, str(error)
    if journal.spec is not None:
        wanted = StreamSpec.from_json(journal.spec)
        if found != wanted:
            logging.warning(
                "%s is not as the run wrote it; the journal's copy is used. "
                "tfcl.train writes it anew.",
                path,
            )
        return wanted
    if found is None:
        raise RunError(
            f"{path} cannot be read: {fault}. Start the run's tfcl.train "
            "command again, which writes it anew."
        )
    for record in journal.visits:
        names = found.class_names[record.index : record.index + 1]
        if names != (tuple(record.class_names),):
            raise RunError(
                f"{path} is damaged: task '{record.name}' has other classes "
                "than the run has learned. Start the run's tfcl.train command "
                "again, which writes it anew."
            )
    return found
