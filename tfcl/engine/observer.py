"""What a person sees while a run goes on: TensorBoard and a progress bar."""

from __future__ import annotations

import importlib.util
import typing

import numpy as np
import tensorflow as tf
from absl import logging
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tfcl.files import cannot
from tfcl.methods.protocols import serving_graph_of
from tfcl.reporting import histograms
from tfcl.reporting.summaries import Summaries

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Hashable, Mapping
    from typing import Any

    from tfcl.data.task import Task
    from tfcl.engine.outputs import Outputs
    from tfcl.engine.storage.journal import Journal
    from tfcl.methods.base import Method
    from tfcl.methods.work import Phase, Work


# Written last of all that is told of a learned task.
_LAST_TAG = "run/learned_tasks"


class Observer:
    """Shows and writes what happens; changes nothing.

    Args:
        folder: TensorBoard folder, None for workers that show nothing.
        journal: `Journal` at the start.
        num_visits: Times that a task is learned in the stream.
    """

    def __init__(
        self,
        folder: str | pathlib.Path | None,
        journal: Journal,
        num_visits: int,
    ):
        self.summaries: Summaries | None = None
        self._outputs: Outputs | None = None
        self._bar: Progress | None = None
        self._line: TaskID | None = None
        self._num_visits = num_visits
        self._graph: Hashable = None  # Name of the last graph shown.
        self._graph_shown = False
        if folder is None:
            return
        with _disk_errors(folder):
            self.summaries = Summaries(folder, journal.global_step)
        self._folder = folder
        # A log file gets the plain lines of end_task, not a moving bar.
        if _shows_bars(Console(stderr=True)):
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("epochs"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[news]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()

    def texts(self, texts: Mapping[str, str], bindings: dict[str, str]) -> None:
        """Writes gin texts and hyper-parameters to TensorBoard."""
        if self.summaries is None:
            return
        for name, text in texts.items():
            code = "\n".join(f"    {line}" for line in text.splitlines())
            self.summaries.text(name, code, 0)
        self.summaries.hparams(bindings)

    def begin_phase(self, task: Task, work: Work, journal: Journal) -> None:
        """A phase starts, or goes on after a resume."""
        number = journal.task_position.visit + 1
        place = f"Task {number}/{self._num_visits} {task.name}"
        epochs = getattr(work, "epochs", 1)
        length = f", {epochs} epochs" if hasattr(work, "epochs") else ""
        kind = type(work).__name__.lower()
        logging.info("%s, %s %s%s.", place, kind, work.name, length)
        if self._bar is None:
            return
        if self._line is not None:
            self._bar.remove_task(self._line)
        done = journal.task_position.phase_position.epoch
        self._line = self._bar.add_task(
            f"{place} {work.name}", total=epochs, completed=done, news=""
        )

    def end_epoch(
        self,
        task: Task,
        phase: Phase,
        journal: Journal,
        record: Mapping[str, Any],
        labels: dict[str, list[str]],
    ) -> None:
        """An epoch is done; `record` is its entry in the history."""
        if self.summaries is not None:
            # task_003/train/loss, task_003/train/validation_accuracy, ...
            prefix = f"task_{task.index:03d}/{phase.name}"
            values = {
                name.removeprefix("train/").replace("/", "_"): np.asarray(v)
                for name, v in record.items()
            }
            self.summaries.scalars(prefix, values, journal.global_step, labels)
        if self._bar is not None and self._line is not None:
            news = f"loss {record['train/loss']:.3f}"
            accuracy = record.get("validation/accuracy")
            if accuracy is not None:
                news += f", validation {accuracy:.1%}"
            self._bar.update(self._line, advance=1, news=news)

    def end_task(
        self, task: Task, journal: Journal, results: Mapping[str, Any]
    ) -> None:
        """A task is learned."""
        record = journal.visits[-1]
        row = record.row
        logging.info(
            "Task %d/%d %s learned: %.1f %%; mean over tasks %.1f %%.",
            len(journal.visits),
            self._num_visits,
            task.name,
            100 * row[task.index],
            100 * float(np.mean(row)),
        )
        if self.summaries is None:
            return
        self._write_task(record, results, journal.global_step)
        with _disk_errors(self._folder):
            self.summaries.flush()

    def tell_again(self, journal: Journal, outputs: Outputs) -> None:
        """Writes what a kill has kept from being written of learned tasks.

        Args:
            journal: `Journal`.
            outputs: `Outputs`, for results and figures, now and later.
        """
        self._outputs = outputs
        if self.summaries is None:
            return
        step = 0
        for number, record in enumerate(journal.visits, 1):
            step += record.steps
            if not self.summaries.has(_LAST_TAG, step):
                self._write_task(record, outputs.results(number), step)
        with _disk_errors(self._folder):
            self.summaries.flush()

    def _write_task(self, record, results, step):
        names, rows = results["task_names"], results["accuracy_matrix"]
        summaries = self.summaries
        assert summaries is not None
        summaries.matrix(rows, names, results["visits"], step)
        metrics = {
            name: value
            for name, value in results["metrics"].items()
            if isinstance(value, float)
        }
        summaries.scalars("metrics", metrics, step)
        each = dict(zip(names, record.row))
        summaries.scalars("test_accuracy", each, step)
        summaries.scalars("method", _numbers(record.notes), step)
        for name, note in record.notes.items():
            if histograms.is_histograms(note):
                for key, counts in note.items():
                    tag = f"{name}/{key}"
                    buckets = histograms.buckets(counts)
                    summaries.histogram(tag, buckets, step)
        assert self._outputs is not None, "`tell_again` comes first"
        for tag, figure in self._outputs.answer_figures(record.visit).items():
            summaries.image(tag, figure, step)
        kind, _, name = _LAST_TAG.partition("/")
        summaries.scalars(kind, {name: len(results["visits"])}, step)

    def figures(self, drawn: Mapping[str, Any], step: int) -> None:
        """Adds figures by name."""
        if self.summaries is None:
            return
        for name, figure in drawn.items():
            self.summaries.image(name, figure, step)
        with _disk_errors(self._folder):
            self.summaries.flush()

    def graph(self, method: Method, step: int) -> None:
        """Adds the graph from images to logits, if it is not the last one.

        Args:
            method: `Method` whose active task may be any finished one.
            step: Global step.
        """
        name = serving_graph_of(method)
        known = self._graph_shown and self._graph == name
        if self.summaries is None or known:
            return
        self._graph_shown, self._graph = True, name
        images = tf.TensorSpec((None, *method.spec.image_shape), tf.float32)
        # A function of its own: nothing that the run computes with is traced.
        traced = tf.function(lambda images: method.predict(images))
        graph = traced.get_concrete_function(images).graph
        self.summaries.graph(graph.as_graph_def(), step)
        with _disk_errors(self._folder):
            self.summaries.flush()

    def flush(self) -> None:
        """Hands all points to the operating system."""
        if self.summaries is not None:
            with _disk_errors(self._folder):
                self.summaries.flush()

    def close(self) -> None:
        """Ends bar and files; closing twice does nothing."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if self.summaries is not None:
            summaries, self.summaries = self.summaries, None
            with _disk_errors(self._folder):
                summaries.close()


class _disk_errors:  # noqa: N801  (reads as a statement)
    """Turns a failed write into a `RunError` that names the folder."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, OSError):
            raise cannot(
                f"write TensorBoard files to {self.folder}",
                error,
                kept="The last checkpoint is intact.",
            ) from error


def _numbers(notes, prefix=""):
    """The numbers among a method's notes, `{name or name/key: number}`."""
    found = {}
    for name, value in notes.items():
        if isinstance(value, dict):
            found.update(_numbers(value, f"{prefix}{name}/"))
        elif isinstance(value, int | float):
            found[f"{prefix}{name}"] = float(value)
    return found


def _shows_bars(console):
    """Whether it is a terminal, or a notebook that can show a moving bar."""
    if console.is_jupyter:
        return importlib.util.find_spec("ipywidgets") is not None
    return console.is_terminal
