"""What a run writes for TensorBoard, and tells loggers."""

from __future__ import annotations

import os
import resource
import sys
import time
import typing

import numpy as np
import tensorflow as tf

from tfcl.engine.watching.points import Points
from tfcl.errors import printable
from tfcl.files import cannot
from tfcl.methods.protocols import serving_graph_of
from tfcl.reporting import figures, histograms
from tfcl.reporting.summaries import Summaries
from tfcl.reporting.training_figures import vector_figures

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Hashable, Mapping
    from typing import Any

    from tfcl.data.task import Task
    from tfcl.engine.outputs import Outputs
    from tfcl.engine.storage.journal import Journal
    from tfcl.engine.watching.pace import Extent
    from tfcl.methods.base import Method
    from tfcl.methods.work import Phase
    from tfcl.reporting.loggers.all_loggers import Loggers


# Written last of all that is told of a learned task.
_LAST_TAG = "run/learned_tasks"
# The phase that most methods have alone: it is not named.
_ONLY_PHASE = "train"
# Of a method's notes, tables of more numbers than these are no charts.
_MAX_CHARTS = 8
_METRICS = {
    "metrics/average_accuracy": "average accuracy",
    "metrics/forgetting": "forgetting",
    "metrics/backward_transfer": "backward transfer",
}


class Board:
    """Points, images and texts of a run, by the names of its tasks.

    `train/<task>/<metric>` and `validation/<task>/<metric>` after each epoch
    (`<task>/<phase>`, where a method has others than `train`), under `run/`
    the learning rate, the images trained on per second and the memory of the
    process; after each task `metrics/`, `test_accuracy/`, what the method
    notes, and a figure of each vector that is its state by epoch, a prior over
    configurations for example, under `<name>/<task>`.

    Args:
        folder: Of the event files.
        global_step: Steps done when the run goes on.
        loggers: `Loggers`, which are told numbers and images.

    Raises:
        RunError: If the folder cannot be written; so do all functions.
    """

    def __init__(
        self, folder: str | pathlib.Path, global_step: int, loggers: Loggers
    ):
        self._folder = folder
        with self._disk_errors():
            self._summaries = Summaries(folder, global_step)
        self._loggers = loggers
        self._points = Points(self._summaries, loggers)
        self._outputs: Outputs | None = None
        self._bindings: Mapping[str, str] = {}
        self._graph: Hashable = None  # Name of the last graph shown.
        self._graph_shown = self._hparams_shown = False
        self._since, self._images = time.monotonic(), 0

    def texts(self, texts: Mapping[str, str], bindings: dict[str, str]) -> None:
        """Writes gin texts, and keeps bindings for the hyper-parameters."""
        for name, text in texts.items():
            code = "\n".join(f"    {line}" for line in text.splitlines())
            self._summaries.text(name, code, 0)
        self._bindings = bindings

    def tell_again(self, journal: Journal, outputs: Outputs) -> None:
        """Writes what a kill has kept from being written of learned tasks.

        Loggers begin before that.

        Args:
            journal: `Journal`.
            outputs: `Outputs`, for results and curves, now and later.
        """
        self._outputs = outputs
        known = _told_of(outputs.facts)
        settings = {**self._bindings, **known}
        if self._loggers.begin(outputs.model_dir, settings):
            self._points.tell_newest_again()
        step = 0
        for number, record in enumerate(journal.visits, 1):
            step += record.steps
            if not self._summaries.has(_LAST_TAG, step):
                self._write_task(record, outputs.results(number), step)
        self.flush()

    def begin_phase(self, extent: Extent) -> None:
        """A phase starts, or goes on after a resume."""
        self._since, self._images = time.monotonic(), extent.steps_made()
        if self._hparams_shown or self._outputs is None or not extent.rates:
            return
        self._hparams_shown = True
        known = {
            **_told_of(self._outputs.facts),
            "learning_rate": next(iter(extent.rates.values())),
            "epochs": float(extent.epochs),
        }
        self._summaries.hparams(known, self._bindings, _METRICS)

    def end_epoch(
        self,
        task: Task,
        phase: Phase,
        step: int,
        record: Mapping[str, Any],
        rates: Mapping[str, float],
        extent: Extent,
    ) -> None:
        """An epoch is done; `record` is its entry in the history."""
        place = printable(task.name)
        if phase.name != _ONLY_PHASE:
            place = f"{place}/{phase.name}"
        parts: dict[str, dict] = {"train": {}, "validation": {}}
        for name, value in record.items():
            head, _, rest = name.partition("/")
            part, rest = (head, rest) if head in parts else ("train", name)
            if np.ndim(value) == 0:  # Vectors are drawn at the task's end.
                parts[part][rest] = value
        for part, values in parts.items():
            self._points.scalars(f"{part}/{place}", values, step)
        now, made = time.monotonic(), extent.steps_made()
        images = (made - self._images) * extent.batch_size
        speed = images / max(now - self._since, 1e-9)
        self._since, self._images = now, made
        self._points.scalars(
            "run",
            {
                **_named_rates(rates),
                "images_per_second": speed,
                "memory_gb": _memory() / 1e9,
            },
            step,
        )

    def end_task(self, journal: Journal, results: Mapping[str, Any]) -> None:
        """A task is learned."""
        self._write_task(journal.visits[-1], results, journal.global_step)
        self.flush()

    def _write_task(self, record, results, step):
        names, rows = results["task_names"], results["accuracy_matrix"]
        points, labels = self._points, record.labels
        matrix = figures.accuracy_matrix(rows, names, results["visits"])
        points.image("accuracy_matrix", matrix, step)
        metrics = {
            name: value
            for name, value in results["metrics"].items()
            if isinstance(value, float)
        }
        points.scalars("metrics", metrics, step)
        each = {n: v for n, v in zip(names, record.row) if v is not None}
        points.scalars("test_accuracy", each, step)
        # Of what is drawn by epoch, the last epoch is no news.
        undrawn = {k: v for k, v in record.notes.items() if k not in labels}
        points.scalars("method", _numbers(undrawn), step)
        for name, note in record.notes.items():
            if histograms.is_histograms(note):
                for key, counts in note.items():
                    tag = f"{name}/{key}"
                    buckets = histograms.buckets(counts)
                    self._summaries.histogram(tag, buckets, step)
        if self._outputs is not None:
            curves = self._outputs.curves(record.visit, record.name)
            # Figures take time, and report.html has them all: those of the
            # method's state (a prior), not of its metrics.
            curves = {k: v for k, v in curves.items() if "train/" not in k}
            for name, figure in vector_figures(labels, curves).items():
                tag = f"{name.replace('/', '_')}/{printable(record.name)}"
                points.image(tag, figure, step)
            drawn = self._outputs.answer_figures(record.visit)
            for tag, figure in drawn.items():
                points.image(tag, figure, step)
        kind, _, name = _LAST_TAG.partition("/")
        points.scalars(kind, {name: len(results["visits"])}, step)

    def figures(self, drawn: Mapping[str, Any], step: int) -> None:
        """Adds figures by name."""
        for name, figure in drawn.items():
            self._points.image(name, figure, step)
        self.flush()

    def graph(self, method: Method, step: int) -> None:
        """Adds the graph from images to logits, if it is not the last one.

        Args:
            method: `Method` whose active task may be any finished one.
            step: Global step.
        """
        name = serving_graph_of(method)
        if self._graph_shown and self._graph == name:
            return
        self._graph_shown, self._graph = True, name
        images = tf.TensorSpec((None, *method.spec.image_shape), tf.float32)
        # A function of its own: nothing that the run computes with is traced.
        traced = tf.function(lambda images: method.predict(images))
        graph = traced.get_concrete_function(images).graph
        self._summaries.graph(graph.as_graph_def(), step)
        self.flush()

    def flush(self) -> None:
        """Hands all points to the operating system."""
        with self._disk_errors():
            self._summaries.flush()

    def close(self, finished: bool) -> None:
        """Ends file and loggers; closing twice does nothing.

        Args:
            finished: All tasks are learned.
        """
        try:
            with self._disk_errors():
                self._summaries.close()
        finally:
            self._loggers.close(finished)

    def _disk_errors(self):
        return _DiskErrors(self._folder)


class _DiskErrors:
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


def _told_of(facts):
    """What a run is, for those who compare runs."""
    return {
        "method": facts.method,
        "stream": facts.stream,
        "seed": float(facts.seed),
    }


def _named_rates(rates):
    """Learning rates by tag: a single optimizer is not named."""
    if len(rates) == 1:
        (rate,) = rates.values()
        return {"learning_rate": rate}
    return {f"learning_rate/{name}": rate for name, rate in rates.items()}


def _memory():
    """Bytes of memory that the process holds; elsewhere than on Linux the
    most that it has held."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return held if sys.platform == "darwin" else held * 1024


def _numbers(notes, prefix=""):
    """The numbers among a method's notes, `{name or name/key: number}`."""
    found = {}
    for name, value in notes.items():
        if isinstance(value, dict):
            if len(value) <= _MAX_CHARTS:
                found.update(_numbers(value, f"{prefix}{name}/"))
        elif isinstance(value, int | float):
            found[f"{prefix}{name}"] = float(value)
    return found
