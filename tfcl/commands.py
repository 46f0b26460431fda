"""What the commands share: opening a run, and ending in one line."""

from __future__ import annotations

import contextlib
import logging as stdlib_logging
import pathlib
import sqlite3
import sys
import typing

# isort: off
import tfcl.engine.process.startup  # noqa: F401  (loads TensorFlow)
import tensorflow as tf

# isort: on
from absl import app, logging

from tfcl import configuration
from tfcl.configuration import command_flags, messages
from tfcl.engine.process.numerics import HARMLESS, PRECISION, ROUNDING
from tfcl.engine.runtime import Runtime
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.errors import (
    CannotGoOn,
    Interrupted,
    RunError,
    TfclError,
    UserError,
    printable,
)
from tfcl.files import local_path, refuse_special

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tfcl.engine.experiment import Experiment


# What does not make another row of a comparison: the same up to rounding.
SAME_ROW = (*HARMLESS, *ROUNDING)


_MAY_WRITE = "See to it that you may write there"
# By what SQLite says; it does not tell a full disk from a broken one.
_SQLITE_WAYS_OUT = {
    "is full": "Make room",
    "I/O error": "Make room, or see that the disk works",
    "readonly": _MAY_WRITE,
    "unable to open": _MAY_WRITE,
    "locked": "End what else uses it",
}


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Runs `main(argv)`, with errors in one line and their exit code."""

    def wrapped(argv):
        with one_line_errors():
            command_flags.refuse_repeated_flags()
            command_flags.localise_paths()
            main([argv[0], *(local_path(each, "path") for each in argv[1:])])

    messages.write_what_the_terminal_can()
    logging.set_verbosity(logging.INFO)
    logging.get_absl_handler().addFilter(_is_ours)
    logging.get_absl_handler().setFormatter(SafeFormatter())
    tf.get_logger().setLevel(stdlib_logging.WARNING)
    app.run(wrapped)


class SafeFormatter(logging.PythonFormatter):
    """As absl writes a line of the log, but names cannot control a terminal."""

    def format(self, record: stdlib_logging.LogRecord) -> str:
        return printable(super().format(record), lines=True)


def _is_ours(record):
    # TFDS and TensorFlow tell of every file they open.
    own = pathlib.Path(__file__).parent
    builders = own.with_name("data_builders")
    return record.levelno >= stdlib_logging.ERROR or any(
        place in (own, builders)
        for place in pathlib.Path(record.pathname).parents
    )


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Prints the message of a `TfclError` and exits with its code."""
    try:
        yield
    except TfclError as error:
        _end(error)
    except tf.errors.UnavailableError:
        # See docs/distribution.md.
        _end(
            Interrupted(
                "Another worker is gone. Start the same command again on all "
                "of them to go on."
            )
        )


def _end(error):
    kind = "stopped" if isinstance(error, Interrupted) else "error"
    message = printable(" ".join(str(error).split()))
    print(f"tfcl: {kind}: {message}", file=sys.stderr)
    sys.exit(error.exit_code)


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


@contextlib.contextmanager
def database_errors(path: str | pathlib.Path) -> Iterator[None]:
    """Ends in one line where an SQLite file cannot be read or written.

    Raises:
        RunError: With the file, what SQLite says, and what to do.
    """
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, sqlite3.Error):
            cause = cause.__cause__
        if cause is None:
            raise
        raise RunError(
            f"Cannot use {path}: {cause}. {_sqlite_way_out(str(cause))}, and "
            "start the same command again."
        ) from error


def _sqlite_way_out(told):
    for part, way_out in _SQLITE_WAYS_OUT.items():
        if part in told:
            return way_out
    return "Restore it from a copy, or choose another --model_dir"


def load_run(model_dir: str | pathlib.Path) -> None:
    """Loads the gin configuration that a run was made with.

    Raises:
        UserError: If `model_dir` holds no run.
        RunError: If it holds what is no file.
    """
    refuse_special(model_dir)
    path = pathlib.Path(model_dir) / "config.gin"
    if not path.exists():
        raise UserError(
            f"--model_dir {model_dir} holds no run (no config.gin). Give the "
            "folder that tfcl.train wrote."
        )
    configuration.load([str(path)], [])


def open_learned(model_dir: str | pathlib.Path) -> LearnedTasks:
    """The `LearnedTasks` of a run, without its data."""
    load_run(model_dir)
    with explained():
        runtime = configuration.build("Experiment.runtime")
        (runtime or Runtime()).apply()
        method = configuration.build("Experiment.method")
        learned = LearnedTasks(model_dir, method)
    refuse_changed_file(model_dir, learned.bindings)
    return learned


def refuse_missing_files(model_dir: str | pathlib.Path) -> None:
    """Refuses to begin a run whose network's files are not there.

    Its data would be prepared first, which may take an hour. A run that goes
    on has copies.

    Raises:
        UserError: With the binding and the path.
    """
    if not (pathlib.Path(model_dir) / "checkpoints").exists():
        configuration.refuse_missing()


def refuse_earlier_state(earlier: str | None, shown: str) -> None:
    """Ends a command whose answers are not of the run's newest state.

    Args:
        earlier: What `earlier_state` says.
        shown: What has been shown or written, for the message.

    Raises:
        RunError: If there is something to say.
    """
    if earlier is not None:
        raise RunError(
            f"{shown} are not of the run as it was last saved: {earlier}. "
            "Restore the checkpoint from a copy, or let tfcl.train learn again "
            "what is missing."
        )


def begin(run: Experiment, bindings: Mapping[str, str]) -> None:
    """Starts a run with what is loaded, if all of it has an effect.

    Raises:
        UserError: If a binding has none, or the method refuses the tasks.
        CannotGoOn: If the run was begun with something else.
    """
    configuration.check_all_used()
    try:
        refuse_other_bindings(run, bindings)
        run.start(
            {
                "config.gin": configuration.asked(),
                "operative_config.gin": configuration.used(),
            }
        )
    except UserError as error:
        if run.resumed:
            raise CannotGoOn(str(error)) from error
        raise


def refuse_other_bindings(run: Experiment, bindings: Mapping[str, str]) -> None:
    """Refuses to continue a run with bindings that change what is learned.

    The stream's own bindings may differ (a longer stream): its learned tasks
    are compared by their data. Its batch size may not. What touches numbers
    alone, `Experiment.start` refuses.

    Raises:
        UserError: With the differing bindings.
    """
    if not run.resumed:
        return
    kept = _differences(run.journal.bindings, bindings)
    if kept:
        raise UserError(
            f"--model_dir {run.model_dir} belongs to another configuration: "
            f"{'; '.join(kept)}. Use the old values, or another --model_dir."
        )
    run.journal.bindings = dict(bindings)


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
    found = _differences(learned, configuration.bindings()) if learned else []
    if found:
        raise UserError(
            f"{pathlib.Path(model_dir) / 'config.gin'} is not as the run was "
            f"learned with: {'; '.join(found)}. Start the run's tfcl.train "
            "command again, which writes it anew."
        )


def _differences(old, new):
    """What differs of that which says what is learned, a line each."""
    stream = new.get("Experiment.stream", "").lstrip("@")
    lines = configuration.differences(
        old, new, (*HARMLESS, *ROUNDING, PRECISION)
    )
    return [
        line
        for line in lines
        if not line.startswith(f"{stream}.")
        or line.startswith(f"{stream}.batch_size")
    ]
