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
from tfcl.engine.process.numerics import HARMLESS, ROUNDING
from tfcl.errors import (
    BY_CTRL_C,
    CannotGoOn,
    Interrupted,
    RunError,
    TfclError,
    UserError,
    missing_package,
    printable,
)
from tfcl.files import local_path
from tfcl.learner.runs import refuse_other_bindings
from tfcl.learner.told import SafeFormatter, TerminalFormatter, is_ours

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

    sys.excepthook = sys.__excepthook__  # Of the start-up.
    messages.write_what_the_terminal_can()
    logging.set_verbosity(logging.INFO)
    logging.get_absl_handler().addFilter(is_ours)
    looked_at = sys.stderr is not None and sys.stderr.isatty()
    logging.get_absl_handler().setFormatter(
        TerminalFormatter() if looked_at else SafeFormatter()
    )
    tf.get_logger().setLevel(stdlib_logging.WARNING)
    with messages.while_someone_reads():
        app.run(wrapped)


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Prints the message of a `TfclError` and exits with its code.

    Of Ctrl-C, too, where nothing else waits for it.
    """
    try:
        yield
    except TfclError as error:
        _end(error)
    except KeyboardInterrupt:
        stopped = Interrupted(
            "Stopped by Ctrl-C; what was saved before is kept."
        )
        stopped.exit_code = BY_CTRL_C
        _end(stopped)
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
    with contextlib.suppress(OSError):  # The terminal may be closed.
        print(f"tfcl: {kind}: {message}", file=sys.stderr)
    sys.exit(error.exit_code)


def end_without(error: ImportError, what: str, caller: str) -> typing.NoReturn:
    """Ends a command that cannot even be loaded, for want of a package.

    Args:
        error: Of the import.
        what: What needs the package, for the message.
        caller: `__name__` of the module; one that is imported raises.

    Raises:
        UserError: With the package and how it is installed.
    """
    missing = missing_package(what, error)
    if caller == "__main__":
        _end(missing)
    raise missing from error


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


def refuse_missing_files(model_dir: str | pathlib.Path) -> None:
    """Refuses to begin a run whose network's files are not there.

    Its data would be prepared first, which may take an hour. A run that goes
    on has copies.

    Raises:
        UserError: With the binding and the path.
    """
    if not (pathlib.Path(model_dir) / "checkpoints").exists():
        configuration.refuse_missing_files()


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
