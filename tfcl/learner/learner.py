"""`Learner`: a run for programs and notebooks."""

from __future__ import annotations

import os
import pathlib
import typing
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from absl import logging

from tfcl import configuration, keras_state
from tfcl.arguments import NonNegativeInt, PositiveInt, checked, one_of, within
from tfcl.data.preprocessing import RESIZES
from tfcl.engine.continuing.resuming import refuse_unlearned
from tfcl.engine.experiment import Experiment
from tfcl.engine.loop import learn_stream
from tfcl.engine.serving import export_options
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.engine.storage.checkpoints import newest_journal
from tfcl.engine.storage.journal import Journal
from tfcl.errors import UserError
from tfcl.files import local_path
from tfcl.learner.arrays import image_batches
from tfcl.learner.asking.exports import exported
from tfcl.learner.further_task import further_stream, tell_changes
from tfcl.learner.kept_stream import stream_of
from tfcl.learner.kept_tasks import KeptTasks, with_index
from tfcl.learner.method_source import (
    OfFolder,
    OfProgram,
    refuse_other_method,
)
from tfcl.learner.readings import Reading, reading_for
from tfcl.learner.runs import (
    difference,
    finish_change,
    last_row,
    refuse_other_bindings,
    refuse_unknown,
)
from tfcl.learner.task import Task, refuse_no_task
from tfcl.learner.task_data import opened, openers
from tfcl.learner.told import told
from tfcl.methods.base import Method
from tfcl.types import Folder

if typing.TYPE_CHECKING:
    from typing import Any


_Fraction = Annotated[float, within("(0, 1)")]


class Learner:
    """Teaches one backbone one task after another, in a folder.

    The folder is a run like those of `tfcl train`: `tfcl predict`, `evaluate`
    and `export` open it. A program that was killed is started again as it is:
    learned tasks are passed over, and one in the middle goes on where it was.
    A task that comes later needs the data of no other, unless the method says
    so (joint training, rehearsal): the run keeps labels and test images.

    Args:
        model_dir: Folder of the run; a run found there is continued.
        method: `tfcl.methods`; what it learns, it learns in the folder, so the
            object itself stays as it is. None takes that of the folder.
        image_size: Height and width of the network's input, in pixels; a
            number or a pair. None takes those of the method's Keras model or
            else of the first task's images.
        channels: 3, or 1 for grey. None takes it likewise.
        batch_size: Examples per training step, 32 by default. A task with
            fewer examples takes them all.
        preprocessing: "auto" gives pixels from 0 to 255 to a Keras model that
            converts them itself (`Rescaling`, `Normalization`), and else
            standardises by mean and deviation of the task's training images;
            a line of the log says which. "raw" gives pixels from 0 to 255,
            "none" from 0 to 1, "train" and "split" standardise, and a pair
            `(mean, std)` does by these, in the unit of pixels / 255.
        resize: How images of other sizes are brought to that,
            "stretch" by default; see `tfcl.data.preprocessing`.
        validation_fraction: Part of a class's training examples that is cut
            for validation where a task brings no such part; 0.15 by default.
        test_fraction: Likewise for test; 0.2 by default.
        seed: Of start values, order of examples, dropout and cuts.
        data_dir: Folder of prepared TFDS data sets.
        gin_bindings: Without a method: bindings that say how later tasks are
            trained, such as "EPOCHS = 5", in place of those of the folder.
        options: Further arguments of `Experiment`: `runtime`, `checkpoints`,
            `evaluation`, `on_nonfinite`, `graphs`, `allow_other_numerics`,
            `distribution`, `loggers`.

    Attributes:
        command: What reports say of where the tasks come from that it learns.

    Raises:
        UserError: If the folder holds no run and there is no method, or Keras
            is set to something that tfcl cannot work with.
    """

    @checked
    def __init__(
        self,
        model_dir: Folder,
        method: Method | None = None,
        *,
        image_size: int | Sequence[int] | None = None,
        channels: Annotated[int, one_of(1, 3)] | None = None,
        batch_size: PositiveInt | None = None,
        preprocessing: str | Sequence | None = None,
        resize: Annotated[str, one_of(*RESIZES)] | None = None,
        validation_fraction: _Fraction | None = None,
        test_fraction: _Fraction | None = None,
        seed: NonNegativeInt = 0,
        data_dir: Folder | None = None,
        gin_bindings: Sequence[str] = (),
        **options: Any,
    ):
        keras_state.refuse_other()
        refuse_unknown(options)
        folder = local_path(os.fspath(model_dir), "model_dir")
        self.model_dir = pathlib.Path(folder)
        self._data_dir = data_dir
        self._options = options
        self._wishes = {
            "image_size": image_size,
            "channels": channels,
            "batch_size": batch_size,
            "preprocessing": preprocessing,
            "resize": resize,
            "validation_fraction": validation_fraction,
            "test_fraction": test_fraction,
        }
        self.command = "tfcl.Learner"
        self._method = method
        self._seed = seed
        self._source: OfProgram | OfFolder
        if method is None:
            self._source = OfFolder(self.model_dir, gin_bindings)
        else:
            self._source = OfProgram(method, seed)
        self._given: dict[str, Task] = {}
        self._running: Experiment | None = None
        self._stop_wished = False
        self._served: LearnedTasks | None = None

    @classmethod
    def load(cls, model_dir: Folder, **arguments: Any) -> Learner:
        """The learner of a folder, with what it was learned with.

        It serves, measures and goes on to learn without former data, and
        also serves and measures what `tfcl train` has learned.

        Args:
            model_dir: Folder of a run.
            arguments: As of the class.

        Raises:
            UserError: If there is no run, or only the program that made the
                method can make it.
        """
        return cls(model_dir, **arguments)

    # Learning

    @checked
    def learn(self, task: Task) -> dict[str, float]:
        """Learns a task, unless it is learned already.

        Args:
            task: `Task`.

        Returns:
            `{name: test accuracy}` of all tasks learned by now.

        Raises:
            UserError: If its data cannot be used, another task is in the
                middle, or the run was begun with something else.
            RunError: If the run cannot go on; what is learned is kept.
        """
        refuse_no_task(task)
        self._stop_wished = False
        given = (self.model_dir, self._wishes, self._data_dir)
        with told(), self._source.configured():
            finish_change(self.model_dir, self._source.new)
            journal, kept = self._journal(), KeptTasks(self.model_dir)
            kept.follow(journal)
            learned = [record.name for record in journal.visits]
            if task.name in learned:
                logging.info("Task '%s' is learned already.", task.name)
                self._given[task.name] = task
                # A kill may have come before report and exports of the last.
                whole = task.name != learned[-1] or journal.position
                if whole or kept.settings is not None:
                    tell_changes(task, journal, kept, *given)
                    return last_row(journal)
            if kept.settings is None and (learned or journal.position):
                stream = further_stream(self._source, task, journal, *given)
                return last_row(self._run(stream, self._source.text(0)))
            begun = kept.begun(journal)
            kept.refuse_other_begun(begun, task.name)
            reading = reading_for(
                kept, task, self._method, self._wishes, self._seed, bool(begun)
            )
            found = opened(task, reading, self._data_dir)
            found = with_index(found, len(learned), ())
            if begun:
                kept.refuse_other(found)
            journal = self._learn(kept, found, not begun, reading)
            self._given[task.name] = task
            return last_row(journal)

    def _learn(self, kept, task, is_new, reading):
        def stream(data_dir):
            del data_dir  # The tasks are opened.
            if is_new:  # The folder is ours by now, and no other process's.
                kept.keep(task, reading.to_json())
            return self._stream(kept, task.index + 1, task, reading)

        return self._run(stream, self._source.text(reading.batch_size))

    def _stream(self, kept, count, here, reading):
        again = openers(self._given, kept, self._data_dir)
        return stream_of(kept, count, here, again, reading.batch_size)

    def _run(self, stream, text):
        bindings = configuration.parse_bindings(text)
        run = self._opened(stream, bindings)
        self._served, self._running = None, run
        run.stop_wished = self._stop_wished
        try:
            self._source.refuse_unused()
            refuse_other_bindings(run, bindings)
            run.start({"config.gin": text})
            learn_stream(run)
        finally:
            self._running = None
            run.close()
        return run.journal

    def stop(self) -> None:
        """Ends the `learn` that runs, from another thread or a signal's
        handler: it saves and raises `tfcl.errors.Interrupted`."""
        self._stop_wished = True  # The run may be about to be opened.
        if self._running is not None:
            self._running.stop_wished = True

    def _opened(self, stream, bindings):
        """The run, of a stream."""
        return Experiment(
            model_dir=self.model_dir,
            data_dir=self._data_dir,
            bindings=bindings,
            command=self.command,
            stream=stream,
            exports=False,
            **self._source.arguments(),
            **self._options,
        )

    # What is learned

    @property
    def tasks(self) -> list[str]:
        """Names of the learned tasks, in the order of learning."""
        return list(last_row(self._journal()))

    @property
    def accuracy_matrix(self) -> np.ndarray:
        """R, `(tasks, tasks)`: `R[i, j]` = test accuracy on task j after the
        i-th was learned, NaN for j > i."""
        journal = self._journal()
        width = max((len(each.row) for each in journal.visits), default=0)
        return journal.accuracy_matrix(width)

    def class_names(self, task: str) -> tuple[str, ...]:
        """Names of a task's classes, in the order of its probabilities."""
        with self._source.configured():
            return tuple(self._serving().find(task).class_names)

    def predict(self, task: str, images: Any) -> np.ndarray:
        """Class probabilities of images.

        Args:
            task: Name of a learned task.
            images: As those of a `Task`: `(n, height, width)` or `(n, height,
                width, channels)`, of any size; or the path of an image file,
                or a list of paths.

        Returns:
            float32 `(n, classes)`; the classes are `class_names(task)`.

        Raises:
            UserError: If there is no such task, or these are no images.
        """
        with told(), self._source.configured():
            served = self._serving()
            entry = served.find(task)
            rows = [
                served.probabilities(entry, batch)
                for batch in image_batches(images, entry.preprocessing)
            ]
        return np.concatenate(rows)

    def evaluate(self) -> dict[str, float]:
        """Measures all learned tasks again on their test examples.

        Returns:
            `{name: accuracy}`.

        Raises:
            UserError: If no task is learned yet.
        """
        with told(), self._source.configured():
            journal, kept = self._journal(), KeptTasks(self.model_dir)
            refuse_unlearned(journal, self.model_dir)
            kept.follow(journal)
            if kept.settings is None:
                # Of `tfcl train`, whose stream its gin files tell.
                run = Experiment(
                    model_dir=self.model_dir,
                    data_dir=self._data_dir,
                    bindings=journal.bindings,
                    **self._options,
                )
            else:
                reading = Reading.from_json(kept.settings)
                stream = self._stream(kept, len(kept.names), None, reading)
                run = self._opened(lambda data_dir: stream, journal.bindings)
            try:
                row, recorded = run.measure_again()
            finally:
                run.close()
        changed = difference(row, recorded)
        if changed is not None:
            logging.warning("%s", changed)
        return last_row(journal, row)

    @checked
    def export(
        self,
        folder: Folder | None = None,
        tasks: Sequence[str] | None = None,
        bundle: bool = False,
        form: export_options.Form = export_options.SAVED_MODEL,
        quantize: export_options.Quantization = export_options.NONE,
        reject_below: export_options.Threshold | None = None,
        representative_images: PositiveInt = export_options.REPRESENTATIVE,
    ) -> list[pathlib.Path]:
        """Writes models that take images and give class names.

        Args:
            folder: Where to; None for `export` in the run's folder.
            tasks: Names; None for all learned tasks.
            bundle: One SavedModel for all of them, whose second input is the
                number of each image's task, instead of one each.
            form: "saved_model", "keras", "litert" or "onnx": `docs/serving.md`.
            quantize: Of LiteRT, "int8", "float16" or "full_integer".
            reject_below: A SavedModel calls images whose largest probability
                is below it "none of these".
            representative_images: How many training images, at most, tell the
                ranges of a "full_integer" file; this program must have them.

        Returns:
            Their paths.
        """
        options = export_options.ExportOptions(
            form, quantize, reject_below, bundle, representative_images
        )
        where = None if folder is None else os.fspath(folder)
        with told(), self._source.configured():
            data = (self._data_dir, self._given)
            return exported(self._serving(), tasks, where, options, *data)

    def report(self) -> pathlib.Path:
        """Path of the report, an HTML page.

        Raises:
            UserError: If no task is learned yet.
        """
        path = self.model_dir / "report.html"
        if not path.exists():
            raise UserError(f"{path}: no report yet. Learn a task.")
        return path

    def __repr__(self) -> str:
        return f"<Learner {self.model_dir}: {', '.join(self.tasks) or 'new'}>"

    def _journal(self) -> Journal:
        return newest_journal(self.model_dir) or Journal()

    def _serving(self) -> LearnedTasks:
        if self._served is None:
            finish_change(self.model_dir, self._source.new)
            refuse_other_method(self._source, self.model_dir, self._journal())
            self._served = LearnedTasks(self.model_dir, self._source.new())
        return self._served
