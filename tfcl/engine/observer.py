"""What a person sees while a run goes on: TensorBoard, loggers, a terminal."""

from __future__ import annotations

import typing

import numpy as np
from absl import logging

from tfcl.engine.watching.board import Board
from tfcl.engine.watching.display import Display
from tfcl.engine.watching.pace import Extent, Pace
from tfcl.errors import printable

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping
    from typing import Any

    from tfcl.data.task import Task
    from tfcl.engine.outputs import Outputs
    from tfcl.engine.storage.journal import Journal
    from tfcl.methods.base import Method
    from tfcl.methods.work import Phase, Work
    from tfcl.reporting.loggers.all_loggers import Loggers


class Observer:
    """Shows and writes what happens; changes nothing.

    Args:
        folder: TensorBoard folder, None for workers that show nothing.
        journal: `Journal` at the start.
        num_visits: Times that a task is learned in the stream.
        loggers: `Loggers`, told where there is a folder.
    """

    def __init__(
        self,
        folder: str | pathlib.Path | None,
        journal: Journal,
        num_visits: int,
        loggers: Loggers,
    ):
        self._num_visits = num_visits
        self._pace = Pace(journal, num_visits)
        self._extent = Extent()
        self._board: Board | None = None
        self._display: Display | None = None
        if folder is not None:
            self._board = Board(folder, journal.global_step, loggers)
            self._display = Display(self._pace)

    def texts(self, texts: Mapping[str, str], bindings: dict[str, str]) -> None:
        """Writes gin texts and hyper-parameters to TensorBoard."""
        if self._board is not None:
            self._board.texts(texts, bindings)

    def tell_again(self, journal: Journal, outputs: Outputs) -> None:
        """Writes what a kill has kept from being written of learned tasks.

        Args:
            journal: `Journal`.
            outputs: `Outputs`, for results and curves, now and later.
        """
        if self._board is not None:
            self._board.tell_again(journal, outputs)

    def begin_phase(
        self, task: Task, work: Work, journal: Journal, extent: Extent
    ) -> None:
        """A phase starts, or goes on after a resume.

        Args:
            task: `Task`.
            work: What is done.
            journal: `Journal`.
            extent: How long it is.
        """
        number = journal.task_position.visit + 1
        place = f"Task {number}/{self._num_visits} {task.name}"
        epochs = getattr(work, "epochs", 1)
        length = f", {epochs} epochs" if hasattr(work, "epochs") else ""
        kind = type(work).__name__.lower()
        logging.info("%s, %s %s%s.", place, kind, work.name, length)
        position = journal.task_position
        phase = position.phase_position
        done = min(phase.epoch, extent.epochs) * extent.steps + phase.step
        if extent.epochs == 1:  # The epochs of a stream are its boundaries.
            done = phase.step
        self._extent = extent
        self._pace.begin(extent, done, position.phase_number)
        if self._board is not None:
            self._board.begin_phase(extent)
        if self._display is not None:
            self._display.begin(printable(f"{place}, {work.name}"))

    def end_epoch(
        self,
        task: Task,
        phase: Phase,
        journal: Journal,
        record: Mapping[str, Any],
        rates: Mapping[str, float],
    ) -> None:
        """An epoch is done.

        Args:
            task: `Task`.
            phase: `Phase`.
            journal: `Journal`.
            record: Entry of the history.
            rates: `{optimizer: learning rate}` of the epoch.
        """
        self._pace.end_epoch(journal.task_position.phase_position.epoch)
        if self._board is not None:
            step = journal.global_step
            self._board.end_epoch(
                task, phase, step, record, rates, self._extent
            )
        if self._display is not None:
            news = f"loss {record['train/loss']:.3f}"
            accuracy = record.get("validation/accuracy")
            if accuracy is not None:
                news += f", validation {100 * accuracy:.1f} %"
            self._display.end_epoch(news)

    def end_phase(self) -> None:
        """A piece of work is done; a next one, or the task's end, follows."""
        if self._display is not None:
            self._display.rest()

    def end_task(
        self, task: Task, journal: Journal, results: Mapping[str, Any]
    ) -> None:
        """A task is learned."""
        record = journal.visits[-1]
        row = np.array(record.row, float)
        self._pace.end_task(len(record.phases))
        logging.info(
            "Task %d/%d %s learned: %.1f %%; mean over tasks %.1f %%.",
            len(journal.visits),
            self._num_visits,
            task.name,
            100 * row[task.index],
            100 * float(np.nanmean(row)),
        )
        told = results.get("metrics", {})
        if "task_aware_accuracy" in told:
            logging.info(
                "Test images without their task: %.1f %% are answered right; "
                "with it %.1f %%.",
                100 * told["task_agnostic_accuracy"],
                100 * told["task_aware_accuracy"],
            )
        if self._display is not None:
            self._display.told()
        if self._board is not None:
            self._board.end_task(journal, results)

    def figures(self, drawn: Mapping[str, Any], step: int) -> None:
        """Adds figures by name."""
        if self._board is not None:
            self._board.figures(drawn, step)

    def graph(self, method: Method, step: int) -> None:
        """Adds the graph from images to logits, if it is not the last one.

        Args:
            method: `Method` whose active task may be any finished one.
            step: Global step.
        """
        if self._board is not None:
            self._board.graph(method, step)

    def flush(self) -> None:
        """Hands all points to the operating system."""
        if self._board is not None:
            self._board.flush()

    def close(self, finished: bool = False) -> None:
        """Ends display, files and loggers; closing twice does nothing.

        Args:
            finished: All tasks are learned.
        """
        if self._display is not None:
            self._display.close()
        if self._board is not None:
            board, self._board = self._board, None
            board.close(finished)
