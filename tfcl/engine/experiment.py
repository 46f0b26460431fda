"""A run: its parts put together, opened, resumed and saved."""

import json
import pathlib

import gin
import keras
from absl import logging

from tfcl.engine.best_weights import BestWeights
from tfcl.engine.evaluator import EvaluationPolicy, Evaluator
from tfcl.engine.observer import Observer
from tfcl.engine.runtime import Runtime, is_chief
from tfcl.engine.serving.export import export_task
from tfcl.engine.steps import SKIP, STOP, StepRunner
from tfcl.engine.storage.bank import Bank
from tfcl.engine.storage.checkpoints import CheckpointPolicy, Checkpoints
from tfcl.engine.storage.journal import Journal
from tfcl.engine.storage.lock import DirectoryLock
from tfcl.engine.storage.start_files import StartFiles
from tfcl.engine.trainer import Trainer
from tfcl.errors import RunError, UserError
from tfcl.methods.base import require
from tfcl.methods.protocols import (
    SupportsPointMaps,
    grow_to,
    structure_of,
)
from tfcl.models.start_files import kept_by
from tfcl.reporting import results, stream_figures


@gin.configurable(
    denylist=["model_dir", "data_dir", "distribution", "bindings", "command"]
)
class Experiment:
    """Everything that a run consists of.

    Args:
        model_dir: Folder of the run; a run found there is continued.
        data_dir: Folder of prepared TFDS data sets, None for TFDS's default.
        distribution: "none", "mirrored" or "multi_worker".
        bindings: gin bindings, kept in the journal.
        command: The command line, for the results.
        method: `Method`.
        stream: Function of `data_dir` that returns a `TaskStream`.
        seed: Seed of start values, order of examples and dropout.
        runtime: `Runtime`.
        checkpoints: `CheckpointPolicy`.
        evaluation: `EvaluationPolicy`.
        on_nonfinite: "stop" or "skip", for a step whose loss or gradient is
            not finite; it is never applied.
        exports: Write a SavedModel per task at the end.

    Attributes:
        journal, method, stream, spec, strategy, runner, evaluator, bank,
        trainer, observer: The parts.
        stop_wished: Set to True to save and stop soon.
    """

    def __init__(
        self,
        model_dir,
        data_dir=None,
        distribution="none",
        bindings=None,
        command="",
        method=gin.REQUIRED,
        stream=gin.REQUIRED,
        seed: int = 0,
        runtime=None,
        checkpoints=None,
        evaluation=None,
        on_nonfinite: str = STOP,
        exports: bool = True,
    ):
        require(seed >= 0, "seed", "must not be negative", seed)
        require(
            on_nonfinite in (STOP, SKIP),
            "on_nonfinite",
            "must be 'stop' or 'skip'",
            on_nonfinite,
        )
        self.model_dir = pathlib.Path(model_dir)
        self.seed = seed
        self.command = command
        self.on_nonfinite = on_nonfinite
        self.exports = exports
        self.stop_wished = False
        self.policy = checkpoints or CheckpointPolicy()
        self.evaluation = evaluation or EvaluationPolicy()
        self.runtime = runtime or Runtime()
        self.runtime.apply()
        self.distribution = distribution
        self.strategy = self.runtime.strategy(distribution)
        self.chief = is_chief(self.strategy)
        self.observer = None
        self._lock = DirectoryLock(self.model_dir) if self.chief else None
        try:
            self._open_journal(bindings or {})
            self._set_up(stream, data_dir, method)
            self._connect()
        except BaseException:
            self.close()
            raise

    def _set_up(self, stream, data_dir, method):
        # For networks that the stream draws.
        keras.utils.set_random_seed(self.seed)
        self.stream = stream(data_dir=data_dir)
        self.spec = self.stream.spec()
        self.method = method
        # For weights whose initializer no one can name, whatever the stream
        # has drawn; all others are drawn anew from seeds of their own.
        keras.utils.set_random_seed(self.seed)
        with self.strategy.scope(), kept_by(self._start_files):
            method.setup(self.spec, self.seed)

    def _open_journal(self, bindings):
        folder = self.model_dir / "checkpoints"
        self._checkpoints = Checkpoints(folder, self.policy, self.chief)
        self._best = BestWeights(folder / "best", self.policy.keep, self.chief)
        self.journal = self._checkpoints.newest()
        self.resumed = self.journal is not None
        self.bank = Bank(self.model_dir / "tasks", self.chief)
        if not self.resumed:
            self._check_nothing_learned()
            self.journal = Journal(bindings)
        self._start_files = StartFiles(
            self.model_dir / "start", self.journal.start_files
        )

    def _connect(self):
        first = self.stream.tasks[0].train
        self.runner = StepRunner(
            self.method,
            self.strategy,
            first.image_shape,
            first.images.dtype,
            self.on_nonfinite,
            self.runtime.xla,
        )
        self.evaluator = Evaluator(
            self.method, self.runner.measurement, self.bank, self.evaluation
        )
        self._check_learned_tasks()
        self.method.recall = self._recall
        place = self.journal.position
        self._grow_to(
            self.journal.structure if place is None else place["structure"]
        )
        self.trainer = Trainer(self)

    def _grow_to(self, structure):
        if structure is not None:
            with self.strategy.scope(), kept_by(self._start_files):
                grow_to(self.method, structure)

    def start(self, texts):
        """Opens the outputs; call once, before the first step.

        Args:
            texts: `{file name: gin text}` written to `model_dir` and shown
                in TensorBoard.

        Raises:
            UserError: If a file that the run began with has changed.
        """
        self._start_files.refuse_changed()
        if self.chief:
            self._start_files.keep()
        if self.journal.position is None:
            # Before any file tells of a stream that the method cannot take.
            self._checkpoints.restore(self.method, between_tasks=True)
        if self.chief:
            spec = json.dumps(self.spec.to_json(), indent=1)
            results.write_texts(self.model_dir, {**texts, "spec.json": spec})
        self.observer = Observer(
            self.model_dir / "tensorboard" if self.chief else None,
            self.journal,
            len(self.stream.visits),
        )
        self.observer.texts(texts, self.journal.bindings)

    # Resuming

    def _check_nothing_learned(self):
        names = ", ".join(self.bank.names())
        if names:
            raise RunError(
                f"--model_dir {self.model_dir} has learned tasks ({names}), "
                "but no checkpoint to go on from. Restore its folder "
                "checkpoints/ from a copy, or start a new run in another "
                "--model_dir."
            )

    def _check_learned_tasks(self):
        learned = [record["fingerprint"] for record in self.journal.visits]
        place = self.journal.position
        if place is not None:
            learned.append(place["fingerprint"])
        if len(learned) > len(self.stream.visits):
            raise UserError(
                f"--model_dir {self.model_dir} has learned {len(learned)} "
                f"tasks, the stream has only {len(self.stream.visits)}. Give a "
                "stream that begins with the learned tasks, or another "
                "--model_dir."
            )
        for visit, fingerprint in zip(self.stream.visits, learned):
            task = visit.task
            if task.fingerprint() != fingerprint:
                raise UserError(
                    f"Task {task.index} ('{task.name}') of the stream is not "
                    f"the one that --model_dir {self.model_dir} has learned: "
                    "its name, classes, order or data differ. Give the same "
                    "stream (new tasks behind the learned ones; for folders "
                    "name all in that order by folder_stream.tasks), or "
                    "another --model_dir."
                )

    def unlearned_visits(self):
        """The visits still to be made, with the journal at each begin."""
        if self.journal.position is not None:
            logging.info(
                "Resuming task %d after %d steps.",
                self.journal.position["task"],
                self.journal.global_step,
            )
        for visit in self.stream.visits[len(self.journal.visits) :]:
            self.journal.begin_task(visit.task)
            yield visit

    def _recall(self, index):
        """Bank values of a task after its newest visit."""
        newest = {r["index"]: r for r in self.journal.visits}[index]
        return self.bank.load(newest["visit"], newest["name"]).values

    def measure_again(self):
        """Last row of R measured now, and as recorded.

        Raises:
            UserError: If no task is learned yet.
        """
        if not self.journal.visits:
            raise UserError(
                f"--model_dir {self.model_dir} has not learned a task yet."
            )
        if self.journal.position is not None:
            self._grow_to(self.journal.structure)
        self._checkpoints.restore(self.method, between_tasks=True)
        last = len(self.journal.visits) - 1
        row = self.evaluator.row(self.stream, last)
        return row, self.journal.visits[last]["row"]

    def restore_pending(self):
        """Restores the checkpoint's variables, the first time it is called."""
        self._checkpoints.restore(self.method, between_tasks=False)

    # Saving

    def save(self):
        """Writes a checkpoint with the journal as it is."""
        self.trainer.note_seconds()
        self.observer.flush()
        self.journal.structure = structure_of(self.method)
        self._checkpoints.save(self.method, self.journal)
        self._best.collect(self.journal)

    def save_if_due(self):
        """Writes a checkpoint if enough time has passed."""
        if self._checkpoints.due():
            self.save()

    def save_best(self, values, epoch, accuracy, value):
        """Keeps the weights of the best epoch so far; returns its note."""
        return self._best.save(self.journal, values, epoch, accuracy, value)

    def best_values(self, note):
        """The weights of a note of `save_best`, None without one."""
        return self._best.load(note)

    # The end of a task and of the run

    def finish_visit(self, visit):
        """Banks the task, fills its row of R, notes it and saves."""
        task, method, place = visit.task, self.method, self.journal.position
        self.bank.store(
            visit,
            method.bank_values(),
            method.bank_notes(),
            results.history_arrays(place["histories"]),
        )
        labels = {n: la for n, (_, la) in method.diagnostics().items()}
        labels.update(
            {f"train/{n}": la for n, la in method.metric_labels().items()}
        )
        entry = self.bank.load(visit.number, task.name)
        record = results.task_record(task, place, labels, entry.notes)
        record["footprint"] = self._footprint(entry)
        found = self.evaluator.evaluations(self.stream, visit.number)
        record["row"] = [each.accuracy for each in found.values()]
        record["losses"] = [each.loss for each in found.values()]
        record["top5"] = results.top5_row(found, self.stream)
        verification = found[task.index].verification
        if verification is not None:
            record["verification"] = verification.to_json()
        self.journal.end_task(record)
        self.save()
        content = self.results()
        self._publish(content)
        self.observer.end_task(task, self.journal, content)

    def _footprint(self, entry):
        shared = [v.variable.numpy() for v in self.method.shared]
        return {
            "task_parameters": int(entry.num_parameters),
            "task_bytes": int(entry.num_bytes),
            "shared_parameters": int(sum(v.size for v in shared)),
            "shared_bytes": int(sum(v.nbytes for v in shared)),
        }

    def results(self):
        """The content of `results.json`."""
        return results.collect(self)

    def _publish(self, content):
        if self.chief:
            results.write_numbers(content, self.model_dir)

    def finish(self):
        """Writes figures, report and exports of a finished run."""
        if not self.chief:
            self.observer.close()
            return
        content = self.results()
        self._publish(content)
        learned = self.stream.learned_versions(len(self.journal.visits) - 1)
        histories = {
            task.index: self.bank.history(visit, task.name)
            for task, visit in learned
        }
        drawn = self._stream_figures(learned, histories)
        self.observer.figures(drawn, self.journal.global_step)
        self.observer.close()
        results.write_figures(content, histories, self.model_dir, drawn)
        if self.exports:
            for task, visit in learned:
                self.export(self.bank.load(visit, task.name))

    def _stream_figures(self, learned, histories):
        """Images of tasks that are streams, with the task if several."""
        drawn = {}
        for task, visit in learned:
            values = self.bank.load(visit, task.name).values
            self.method.activate(values, task.index)
            maps = []
            if isinstance(self.method, SupportsPointMaps):
                maps = self.method.point_maps(task)
            found = stream_figures.stream_figures(
                task,
                maps,
                histories[task.index],
                self.journal.visits[visit]["phases"],
            )
            prefix = f"{task.name}_" if len(learned) > 1 else ""
            drawn.update({prefix + name: f for name, f in found.items()})
        return drawn

    def export(self, entry):
        """Writes the SavedModel of a `BankedTask`; returns its path."""
        return export_task(self.method, entry, self.model_dir / "export")

    def close(self):
        """Gives the model directory free."""
        try:
            if self.observer is not None:
                self.observer.close()
        finally:
            if self._lock is not None:
                self._lock.release()
