"""A run: its parts put together, opened, resumed and saved."""

from __future__ import annotations

import functools
import json
import pathlib
import typing
from collections.abc import Sequence
from typing import Annotated

import gin
import keras
import numpy as np
from absl import logging

from tfcl import keras_state
from tfcl.arguments import NonNegativeInt, checked, one_of
from tfcl.data.run_folder import made_for
from tfcl.data.scenario import SCENARIOS
from tfcl.data.scenarios.in_scenario import stream_for
from tfcl.engine.continuing import resuming
from tfcl.engine.continuing.growth import (
    complete_last_row,
    grown,
    refuse_lost_data,
)
from tfcl.engine.evaluator import EvaluationPolicy, Evaluator
from tfcl.engine.observer import Observer
from tfcl.engine.outputs import Outputs, run_facts
from tfcl.engine.process.agreement import agree_on_settings
from tfcl.engine.process.numerics import continue_with, numerics
from tfcl.engine.recording import record_visit
from tfcl.engine.runtime import Runtime, is_chief
from tfcl.engine.serving import written_again
from tfcl.engine.steps import SKIP, STOP, StepRunner
from tfcl.engine.storage.bank import Bank
from tfcl.engine.storage.best_weights import BestWeights
from tfcl.engine.storage.checkpoints import CheckpointPolicy, Checkpoints
from tfcl.engine.storage.journal import Journal
from tfcl.engine.storage.lock import DirectoryLock
from tfcl.engine.storage.saver import Saver
from tfcl.engine.storage.start_files import StartFiles
from tfcl.engine.task_agnostic import at_the_end
from tfcl.engine.traces import Traces
from tfcl.engine.training.stretches import Stretches
from tfcl.engine.training.trainer import Trainer
from tfcl.errors import UserError
from tfcl.files import local_path, refuse_special, sweep
from tfcl.methods.protocols import grow_to
from tfcl.models.start_files import kept_by
from tfcl.reporting import results
from tfcl.reporting.loggers.all_loggers import Loggers
from tfcl.reporting.loggers.run_logger import RunLogger
from tfcl.types import Folder

if typing.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tfcl.data.task import TaskStream, Visit
    from tfcl.engine.storage.bank import BankedTask
    from tfcl.methods.base import Method


@gin.configurable(
    denylist=[
        *("model_dir", "data_dir", "distribution", "bindings", "command"),
        "allow_other_numerics",
    ]
)
class Experiment:
    """Everything that a run consists of.

    Args:
        model_dir: Folder of the run; a run found there is continued.
        data_dir: Folder of prepared TFDS data sets, see `data_folder`.
        distribution: "none", "mirrored" or "multi_worker".
        bindings: gin bindings, kept in the journal.
        command: The command line, for the results.
        method: `Method`.
        stream: Function of `data_dir` that returns a `TaskStream`.
        scenario: "task", "domain", "class" or "online", in which the tasks of
            the stream are seen (`in_scenario`); None for the stream's own.
        seed: Seed of start values, order of examples and dropout.
        runtime: `Runtime`.
        checkpoints: `CheckpointPolicy`.
        evaluation: `EvaluationPolicy`.
        on_nonfinite: "stop" or "skip", for a step whose loss or gradient is
            not finite; it is never applied.
        exports: Write a SavedModel per task at the end.
        allow_other_numerics: Go on with another precision or the like.
        graphs: Show the graph of the network that serves the tasks in
            TensorBoard, again whenever it has changed.
        loggers: `RunLogger` objects, which are told what TensorBoard shows.

    Attributes:
        journal, method, stream, spec, strategy, runner, evaluator, bank,
            outputs: The parts.
        observer, saver, trainer: Parts that learn; from `start` on.
        stop_wished: Set to True to save and stop soon.
    """

    @checked
    def __init__(
        self,
        model_dir: str | pathlib.Path,
        data_dir: Folder | None = None,
        distribution: str = "none",
        bindings: Mapping[str, str] | None = None,
        command: str = "",
        method: Method = gin.REQUIRED,
        stream: TaskStream = gin.REQUIRED,
        scenario: Annotated[str, one_of(*SCENARIOS)] | None = None,
        seed: NonNegativeInt = 0,
        runtime: Runtime | None = None,
        checkpoints: CheckpointPolicy | None = None,
        evaluation: EvaluationPolicy | None = None,
        on_nonfinite: Annotated[str, one_of(STOP, SKIP)] = STOP,
        exports: bool = True,
        allow_other_numerics: bool = False,
        graphs: bool = False,
        loggers: Sequence[RunLogger] = (),
    ):
        keras_state.refuse_other()
        self.model_dir = pathlib.Path(local_path(model_dir, "model_dir"))
        refuse_special(self.model_dir)
        self.seed = seed
        self.command = command
        self.on_nonfinite = on_nonfinite
        self.exports = exports
        self.allow_other_numerics = allow_other_numerics
        self.graphs = graphs
        self.loggers = loggers
        self.distribution = distribution
        self.stop_wished = False
        self.policy = checkpoints or CheckpointPolicy()
        self.evaluation = evaluation or EvaluationPolicy()
        self.runtime = runtime or Runtime()
        self.runtime.apply()
        self._agree(bindings or {})
        self.strategy = self.runtime.strategy(distribution)
        self.chief = is_chief(self.strategy)
        self.observer: Observer | None = None
        self._traces = Traces()
        self._is_new = not self.model_dir.exists()
        self._lock = DirectoryLock(self.model_dir) if self.chief else None
        try:
            self._open_journal(bindings or {})
            self._set_up(stream, scenario, data_dir, method)
            self._connect()
        except BaseException:
            self.close()
            raise

    def _agree(self, bindings):
        """Several workers must be set alike in all but their own machines."""
        if self.distribution == "multi_worker":
            facts = {**bindings, "Experiment.seed": self.seed}
            facts["Experiment.on_nonfinite"] = self.on_nonfinite
            where = self.model_dir
            agree_on_settings(facts, self.runtime, self.evaluation, where)

    def _set_up(self, stream, scenario, data_dir, method):
        data_dir = resuming.data_folder(self.journal, data_dir)
        # For networks that the stream draws.
        keras.utils.set_random_seed(self.seed)
        with made_for(self.model_dir), kept_by(self._start_files):
            refuse = method.refuse_scenario
            found = stream_for(refuse, stream, scenario, data_dir)
        self.stream = grown(found, self.journal, self.bank, self.model_dir)
        self.spec = self.stream.spec()
        self.method = method
        # For weights whose initializer no one can name, whatever the stream
        # has drawn; all others are drawn anew from seeds of their own.
        keras.utils.set_random_seed(self.seed)
        with self.strategy.scope(), kept_by(self._start_files):
            method.setup(self.spec, self.seed)

    def _open_journal(self, bindings):
        if self.chief:
            sweep(self.model_dir)
        folder = self.model_dir / "checkpoints"
        self._checkpoints = Checkpoints(folder, self.policy, self.chief)
        self._best_weights = BestWeights(
            folder / "best", self.policy.keep, self.chief
        )
        found = self._checkpoints.newest()
        self.resumed = found is not None
        self.bank = Bank(self.model_dir / "tasks", self.chief)
        if found is None:
            resuming.refuse_lost_checkpoints(self.bank, self.model_dir)
            found = Journal(dict(bindings))
        self.journal = found
        self.bank.first_names = found.first_names
        self._start_files = StartFiles(
            self.model_dir / "start", self.journal.start_files
        )

    def _connect(self):
        # Learned tasks whose data are gone do not tell of the pixels.
        first = self.stream.tasks[-1].train
        self.runner = StepRunner(
            self.method,
            self.strategy,
            first.image_shape,
            first.images.dtype,
            self.on_nonfinite,
            self.runtime.xla,
            self.runtime.window,
        )
        self.evaluator = Evaluator(
            self.method, self.runner.measurement, self.bank, self.evaluation
        )
        self.evaluator.remember(self.journal.visits)
        resuming.refuse_other_tasks(self.journal, self.stream, self.model_dir)
        self.method.recall = functools.partial(self.bank.recall, self.journal)
        place = self.journal.position
        self._grow_to(
            self.journal.structure if place is None else place.structure
        )
        facts = run_facts(
            self.method,
            self.stream,
            seed=self.seed,
            command=self.command,
            distribution=self.distribution,
            replicas=self.strategy.num_replicas_in_sync,
        )
        self.outputs = Outputs(
            self.model_dir,
            facts,
            self.method,
            self.stream,
            self.journal,
            self.bank,
            self.chief,
        )

    def _grow_to(self, structure):
        if structure is not None:
            with self.strategy.scope(), kept_by(self._start_files):
                grow_to(self.method, structure)

    def start(self, texts: Mapping[str, str]) -> None:
        """Opens the outputs; call once, before the first step.

        Args:
            texts: `{file name: gin text}` written to `model_dir` and shown
                in TensorBoard.

        Raises:
            UserError: If a file that the run began with has changed, or a
                setting that touches numbers, or the method refuses the tasks,
                or the package of a logger is missing.
        """
        loggers = Loggers(self.loggers if self.chief else ())
        replicas = self.strategy.num_replicas_in_sync
        continue_with(
            self.journal,
            numerics(self.runtime, self.evaluation, replicas),
            self.allow_other_numerics,
            self.model_dir,
        )
        self.method.check_stream(self.stream)
        refuse_lost_data(self.method, self.stream, len(self.journal.visits))
        self._start_files.refuse_changed()
        if self.chief:
            self._start_files.keep()
        if self.journal.position is None:
            # Before any file tells of a stream that the method cannot take.
            self._checkpoints.restore(self.method, between_tasks=True)
            complete_last_row(self.journal, self.stream, self.evaluator)
        self.journal.facts = self.outputs.facts.to_json()
        self.journal.spec = self.spec.to_json()
        if self.chief:
            spec = json.dumps(self.spec.to_json(), indent=1)
            results.write_texts(self.model_dir, {**texts, "spec.json": spec})
            if self.journal.visits:
                written_again.publish_again(self.outputs)
        observer = self.observer = Observer(
            self.model_dir / "tensorboard" if self.chief else None,
            self.journal,
            len(self.stream.visits),
            loggers,
        )
        observer.texts(texts, self.journal.bindings)
        observer.tell_again(self.journal, self.outputs)
        self._make_trainer(observer)

    def _make_trainer(self, observer):
        self.saver = Saver(
            self.method,
            self.journal,
            self._checkpoints,
            self._best_weights,
            observer.flush,
        )
        stretches = Stretches(
            self.method,
            self.spec,
            self.seed,
            self.runner,
            self.saver,
            lambda: self.stop_wished,
        )
        self.trainer = Trainer(
            self.method, stretches, self.evaluator, self.saver, observer
        )

    # What the loop asks for

    def unlearned_visits(self) -> Iterator[Visit]:
        """The visits still to be made, with the journal at each begin."""
        if self.journal.position is not None:
            logging.info(
                "Resuming task %d after %d steps.",
                self.journal.position.task,
                self.journal.global_step,
            )
        for visit in self.stream.visits[len(self.journal.visits) :]:
            self.journal.begin_task(visit.task)
            yield visit

    def finish_visit(self, visit: Visit) -> None:
        """Banks the task, fills its row of R, notes it and saves."""
        record = record_visit(
            visit,
            self.journal.task_position,
            self.stream,
            self.method,
            self.bank,
            self.evaluator,
        )
        place = self.stream, visit.number, self.evaluator
        told = at_the_end(*place, self.journal)
        self.journal.end_task(record, told)
        self.saver.save()
        content = self.outputs.publish()
        assert self.observer is not None, "learning begins with `start`"
        self.observer.end_task(visit.task, self.journal, content)
        if self.graphs and self.chief:
            self.observer.graph(self.method, self.journal.global_step)

    def finish(self) -> None:
        """Writes figures, report and exports of a finished run."""
        assert self.observer is not None, "learning begins with `start`"
        self.outputs.finish(self.observer, self.exports, self.evaluator)

    # What commands ask for

    def results(self) -> dict[str, Any]:
        """The content of `results.json`."""
        return self.outputs.results()

    def earlier_state(self) -> str | None:
        """Says that a damaged checkpoint was passed over, or None."""
        return self._checkpoints.earlier_state()

    def measure_again(self) -> tuple[list[float], list[float]]:
        """Last row of R measured now, and as recorded; NaN where unknown.

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
        if self.chief:
            written_again.mend(self.outputs, self.journal)
        last = len(self.journal.visits) - 1
        row = self.evaluator.row(self.stream, last)
        return row, np.array(self.journal.visits[last].row, float).tolist()

    def export(self, entry: BankedTask) -> pathlib.Path:
        """Writes the SavedModel of a `BankedTask`; returns its path."""
        return self.outputs.export(entry)

    def close(self) -> None:
        """Releases the model directory, and what has been traced.

        A folder that this start has made and in which it wrote nothing is
        removed.
        """
        try:
            if self.observer is not None:
                self.observer.close()
        finally:
            self._traces.close()
            if self._lock is not None:
                self._lock.release(and_remove=self._is_new)
