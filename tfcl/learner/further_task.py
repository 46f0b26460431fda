"""A further task for a run that gin files have begun, or one known by name."""

from __future__ import annotations

import ast
import pathlib
import typing

import tensorflow as tf
from absl import logging

from tfcl.arguments import fits
from tfcl.data.sources.folder_files import files_now
from tfcl.data.task import TaskStream
from tfcl.data.task_assembly import Statistics, checked_statistics
from tfcl.engine.continuing.changes import (
    changes_of,
    class_changes,
    file_changes,
    warn_of_changes,
)
from tfcl.engine.storage.bank import Bank
from tfcl.errors import UserError
from tfcl.files import local_path
from tfcl.learner.kept_tasks import with_index
from tfcl.learner.method_source import OfFolder
from tfcl.learner.readings import Reading, statistics_of
from tfcl.learner.task_data import is_folder, opened
from tfcl.learner.task_settings import stream_name

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from tfcl.engine.storage.journal import Journal
    from tfcl.learner.kept_tasks import KeptTasks
    from tfcl.learner.method_source import MethodSource
    from tfcl.learner.task import Task
    from tfcl.types import Folder


_FRACTIONS = {"validation_fraction": 0.15, "test_fraction": 0.2}


def further_stream(
    source: MethodSource,
    task: Task,
    journal: Journal,
    model_dir: pathlib.Path,
    wishes: Mapping[str, Any],
    data_dir: Folder | None,
) -> Callable[[Folder | None], TaskStream]:
    """A stream of one task, for a run that knows the others by its journal.

    The run finds its learned tasks again, see `tfcl.engine.continuing.growth`.

    Args:
        source: `MethodSource` of the learner.
        task: `Task` to learn.
        journal: Of the run.
        model_dir: Folder of the run.
        wishes: Arguments of `Learner`, None for what is not given.
        data_dir: Folder of prepared TFDS data sets.

    Returns:
        Function of `data_dir` to the `TaskStream`.

    Raises:
        UserError: If the data cannot be used, or the method cannot learn a
            further task.
    """
    _refuse_unfit(source, model_dir)
    bank = Bank(model_dir / "tasks", False, journal.first_names)
    reading = _reading(journal, bank, wishes)
    found = with_index(opened(task, reading, data_dir), 0, ())
    name = (journal.spec or {}).get("name") or model_dir.name
    return lambda data_dir: TaskStream(name, [found], reading.batch_size)


def tell_changes(
    task: Task,
    journal: Journal,
    kept: KeptTasks,
    model_dir: pathlib.Path,
    wishes: Mapping[str, Any],
    data_dir: Folder | None,
) -> None:
    """Says what is other with a task that is learned already by its name.

    Of a folder the files are compared, without decoding any. A
    `tf.data.Dataset` is not read.

    Args:
        task: `Task` as it is given now.
        journal: Of the run.
        kept: `KeptTasks` of the run.
        model_dir, wishes, data_dir: As of `further_stream`.
    """
    if isinstance(task.train, tf.data.Dataset):
        return
    record = [each for each in journal.visits if each.name == task.name][-1]
    bank = Bank(model_dir / "tasks", False, journal.first_names)
    files = bank.files(record.visit, record.name)
    try:
        if files and is_folder(task):
            names, found = files_now(local_path(task.train, "Task.train"))
            told = class_changes(record.class_names, task.class_names or names)
            told += file_changes(files, found)
        else:
            if kept.settings is None:
                reading = _reading(journal, bank, wishes)
            else:
                reading = Reading.from_json(kept.reading(task.name))
            told = changes_of(record, opened(task, reading, data_dir), {})
    except UserError as error:
        logging.info("Its data were not compared: %s", error)
        return
    if told:
        warn_of_changes(task.name, told)


def _refuse_unfit(source, model_dir):
    """Refuses what cannot learn a further task of such a run."""
    if not isinstance(source, OfFolder):
        raise UserError(
            f"{model_dir} holds a run of `tfcl train`, whose method its gin "
            f"files tell. Go on by tfcl.Learner.load('{model_dir}'), without a "
            "method, or give another folder."
        )
    method = source.new()
    if not method.needs_task:
        raise UserError(
            f"{method.name} chooses among the classes of all tasks, so a new "
            "task needs a stream with all of them. Add it to the stream of "
            "the run's `tfcl train` command."
        )


def _reading(journal, bank, wishes):
    """How the images of a further task are read: like those of the others."""
    records = journal.visits
    entries = [bank.load(record.visit, record.name) for record in records]
    known = entries[-1].preprocessing
    batch_size = wishes["batch_size"] or (journal.spec or {}).get("batch_size")
    for name in ("image_size", "channels"):
        if wishes[name] is not None:
            raise UserError(
                f"Argument `{name}` belongs to the network of the run, which "
                f"takes images of shape {known.image_shape}. Leave it out."
            )
    return Reading(
        image_shape=known.image_shape,
        statistics=_statistics(journal, entries, wishes["preprocessing"]),
        resize=wishes["resize"] or known.resize,
        data_seed=0,
        batch_size=batch_size or 32,
        **{n: wishes[n] or value for n, value in _FRACTIONS.items()},
    )


def _statistics(journal, entries, wish):
    """How pixels are standardised, see `assemble_task`."""
    shape = entries[-1].preprocessing.image_shape
    if wish not in (None, "auto"):
        return statistics_of(wish, None, shape[-1])
    stream = stream_name(journal.bindings)
    bound = journal.bindings.get(f"{stream}.statistics")
    if bound is not None and fits(_literal(bound), Statistics):
        return checked_statistics(_literal(bound), shape[-1])
    pairs = {(e.preprocessing.mean, e.preprocessing.std) for e in entries}
    mean, std = pairs.pop()
    # Constants are the same for all tasks, statistics of images are not, and
    # no images are black.
    constant = not pairs and (len(entries) > 1 or not any(mean))
    return (mean, std) if constant else "train"


def _literal(text):
    """The value of a binding, None of a function of gin's."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return None
