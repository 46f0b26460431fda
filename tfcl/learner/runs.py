"""Runs in their folders: opened with what they were learned with."""

from __future__ import annotations

import contextlib
import math
import pathlib
import typing

import numpy as np
from absl import logging

from tfcl import configuration
from tfcl.engine.process.numerics import HARMLESS, PRECISION, ROUNDING
from tfcl.engine.runtime import Runtime
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.errors import RunError, TfclError, UserError
from tfcl.files import refuse_special
from tfcl.learner.task_list import TaskList
from tfcl.learner.task_settings import is_of_tasks, of_tasks, stream_name

if typing.TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from tfcl.engine.experiment import Experiment
    from tfcl.engine.storage.journal import Journal
    from tfcl.methods.base import Method


# Arguments of `Experiment` that a program may give.
_OPTIONS = (
    *("runtime", "checkpoints", "evaluation", "on_nonfinite", "graphs"),
    *("allow_other_numerics", "distribution", "loggers"),
)


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turns an error of something that gin called into one for the user.

    Gin appends lines to every message; the place of the binding goes in front
    instead.
    """
    try:
        yield
    except (ValueError, TypeError, RuntimeError, RunError, UserError) as error:
        raise configuration.explain(error) from error


def load_run(
    model_dir: str | pathlib.Path, bindings: Sequence[str] = ()
) -> None:
    """Loads the gin configuration that a run was made with.

    Args:
        model_dir: Folder of the run.
        bindings: gin bindings that come after it.

    Raises:
        UserError: If `model_dir` holds no run.
        RunError: If it holds what is no file.
    """
    refuse_special(model_dir)
    path = pathlib.Path(model_dir) / "config.gin"
    if not path.exists():
        raise UserError(
            f"--model_dir {model_dir} holds no run (no config.gin). Give the "
            "folder of a tfcl.Learner, or that tfcl.train wrote."
        )
    configuration.load([str(path)], bindings)


def open_learned(model_dir: str | pathlib.Path) -> LearnedTasks:
    """The `LearnedTasks` of a run, without its data."""
    finish_change(model_dir)
    load_run(model_dir)
    with explained():
        runtime = configuration.build("Experiment.runtime")
        (runtime or Runtime()).apply()
        method = configuration.build("Experiment.method")
        learned = LearnedTasks(model_dir, method)
    refuse_changed_file(model_dir, learned.bindings)
    learned.refuse_none()
    return learned


def finish_change(
    model_dir: str | pathlib.Path, method: Callable[[], Method] | None = None
) -> None:
    """Has all follow a change of the tasks that a kill has cut short.

    See `TaskList`. Where that cannot be done now, as in a folder that nobody
    may write, a line of the log says so.

    Args:
        model_dir: Folder of the run, or of none.
        method: Function to the run's `Method`, not set up; None for that of
            its gin files.
    """
    make = method or (lambda: configuration.build("Experiment.method"))
    tasks = TaskList(pathlib.Path(model_dir), make)
    if not tasks.is_cut_short:
        return
    try:
        if method is not None:
            tasks.finish()
        else:
            with configuration.apart(), explained():
                load_run(model_dir)
                tasks.finish()
    except TfclError as error:
        logging.warning(
            "Tasks of %s were renamed or removed, and its report and exports "
            "may not tell of it yet: %s",
            model_dir,
            error,
        )


def refuse_unknown(options: Iterable[str]) -> None:
    """Refuses what is no argument of a `Learner`.

    Args:
        options: Names of the arguments that are passed on.

    Raises:
        TypeError: With the way out.
    """
    for name in options:
        if name not in _OPTIONS:
            raise TypeError(
                f"Learner has no argument `{name}`. What belongs to training "
                f"goes to the method: CLR(backbone=..., {name}=...). Arguments "
                f"of the run are {', '.join(_OPTIONS)}."
            )


def refuse_other_bindings(run: Experiment, bindings: Mapping[str, str]) -> None:
    """Refuses to continue a run with bindings that change what is learned.

    The stream's own bindings may differ: its learned tasks are compared by
    their data. Between two tasks, so may those that say how a task is trained
    (`task_settings`). What touches numbers alone, `Experiment.start` refuses.

    Raises:
        UserError: With the differing bindings.
    """
    journal, size = run.journal, {}
    stream = stream_name(bindings)
    if stream:  # A further task may have a batch size of its own.
        size[f"{stream}.batch_size"] = str(run.stream.batch_size)
    if run.resumed:
        known = {**size, **journal.bindings, **journal.settings}
        was = {**journal.bindings, **{key: known[key] for key in size}}
        begun = journal.position and (journal.position.name or "a task")
        refuse_other(run.model_dir, was, {**bindings, **size}, begun)
        journal.bindings = dict(bindings)
    journal.settings = {**of_tasks(bindings), **size}


def refuse_other(
    model_dir: str | pathlib.Path,
    learned: Mapping[str, str],
    now: Mapping[str, str],
    begun: str | None = None,
) -> None:
    """Refuses what was not learned with the present configuration.

    Args:
        model_dir: Folder of the run.
        learned: Bindings of its journal.
        now: Those of today.
        begun: Name of the task that the run is in the middle of. Between two
            tasks, bindings that say how a task is trained may differ.

    Raises:
        UserError: With the differing bindings.
    """
    kept = _differences(learned, now, between=begun is None)
    lasting = _differences(learned, now, between=True)
    if begun is not None and kept and not lasting:
        raise UserError(
            f"--model_dir {model_dir} is in the middle of task '{begun}', "
            f"which was begun with other settings: {'; '.join(kept)}. Use the "
            "old values until it is learned; later tasks may have others."
        )
    if kept:
        raise UserError(
            f"--model_dir {model_dir} belongs to another configuration: "
            f"{'; '.join(kept)}. Use the old values, or another --model_dir."
        )


def refuse_changed_file(
    model_dir: str | pathlib.Path, learned: Mapping[str, str]
) -> None:
    """Refuses to serve a run by a config.gin that it was not learned with.

    Args:
        model_dir: Folder of the run, whose file is loaded.
        learned: Bindings of its journal; {} if it was begun without gin.

    Raises:
        UserError: With the differing bindings.
    """
    now = configuration.bindings()
    found = _differences(learned, now, between=False) if learned else []
    if found:
        raise UserError(
            f"{pathlib.Path(model_dir) / 'config.gin'} is not as the run was "
            f"learned with: {'; '.join(found)}. Start the run's tfcl.train "
            "command again, which writes it anew."
        )


def _differences(old, new, between):
    """What differs of that which says what is learned, a line each.

    Args:
        old, new: Bindings.
        between: Whether the run is between two tasks.
    """
    stream = stream_name(new)
    lines = configuration.differences(
        old, new, (*HARMLESS, *ROUNDING, PRECISION)
    )
    return [line for line in lines if not _may_differ(line, stream, between)]


def _may_differ(line, stream, between):
    key = line.partition(": ")[0]
    if between:
        return is_of_tasks(key, stream)
    return key.startswith(f"{stream}.") and key != f"{stream}.batch_size"


def difference(
    measured: Sequence[float], recorded: Sequence[float]
) -> str | None:
    """Says that accuracies are other than those that a run has recorded.

    What was not known then, NaN, may be known by now.

    Args:
        measured, recorded: By task index.

    Returns:
        A sentence, None if they are the same.
    """
    known = ~np.isnan(recorded)
    if np.array_equal(np.asarray(measured)[known], np.asarray(recorded)[known]):
        return None
    return (
        "The accuracies differ from the recorded ones: data, bank or "
        "TensorFlow version have changed since the run."
    )


def last_row(
    journal: Journal, measured: Sequence[float] | None = None
) -> dict[str, float]:
    """`{name: test accuracy}` of all tasks that a run has learned.

    NaN where it is not known; without tasks that the user has removed.

    Args:
        journal: Of the run.
        measured: What they have now, by task index; None for what they had.
    """
    return {
        name: math.nan if accuracy is None else accuracy
        for name, accuracy in journal.accuracies(measured).items()
    }
