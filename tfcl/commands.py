"""What the commands share: opening a run, and ending in one line."""

from __future__ import annotations

import contextlib
import logging as stdlib_logging
import pathlib
import sys
import typing

# isort: off
import tfcl.startup  # noqa: F401  (before anything loads TensorFlow)
import tensorflow as tf

# isort: on
from absl import app, flags, logging

from tfcl import configuration
from tfcl.configuration import parts
from tfcl.engine.runtime import Runtime
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.errors import Interrupted, RunError, TfclError, UserError

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tfcl.engine.experiment import Experiment


# They may change when a run goes on: they do not touch what is learned.
HARMLESS = ("CheckpointPolicy", "EvaluationPolicy", "MemoryLimits", "Runtime")
# Of the run's own bindings: what to do at a step that could not be applied,
# and whether SavedModels are written at the end.
_HARMLESS_BINDINGS = ("Experiment.on_nonfinite", "Experiment.exports")


def define_model_dir(required: bool = True) -> None:
    """Defines the flag `--model_dir`, unless another program has."""
    if "model_dir" not in flags.FLAGS:
        flags.DEFINE_string("model_dir", None, "Folder of the run.")
    if required:
        flags.mark_flag_as_required("model_dir")


def define_data_dir() -> None:
    """Defines the flag `--data_dir`, unless another program has."""
    if "data_dir" not in flags.FLAGS:
        flags.DEFINE_string(
            "data_dir",
            None,
            "Folder of TFDS data sets. Default: $TFDS_DATA_DIR.",
        )


def define_gin() -> None:
    """Defines the flags that say what a run is put together from."""
    flags.DEFINE_multi_string(
        "gin_file", [], "gin file; may be given several times, later lines win."
    )
    flags.DEFINE_multi_string(
        "gin_bindings", [], "One binding, e.g. 'EPOCHS=60'; repeats."
    )
    for name, example in (
        (parts.STREAMS, "digits_5"),
        (parts.METHODS, "lasem"),
        (parts.NETWORKS, "lasem_cifar_6"),
    ):
        flag = name.removesuffix("s")
        flags.DEFINE_string(
            flag, None, f"A file of gin/{name} by its name, such as {example}."
        )


def gin_files() -> list[str]:
    """The gin files of the flags `define_gin`, in the order to be read.

    Raises:
        UserError: If they name no run, or a name is unknown.
    """
    given = flags.FLAGS
    return parts.files(
        given.gin_file, given.stream, given.method, given.network
    )


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Runs `main(argv)`, with errors in one line and their exit code."""

    def wrapped(argv):
        with one_line_errors():
            main(argv)

    logging.set_verbosity(logging.INFO)
    logging.get_absl_handler().addFilter(_is_ours)
    tf.get_logger().setLevel(stdlib_logging.WARNING)
    app.run(wrapped)


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
    message = " ".join(str(error).split())
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


def load_run(model_dir: str | pathlib.Path) -> None:
    """Loads the gin configuration that a run was made with.

    Raises:
        UserError: If `model_dir` holds no run.
    """
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
        return LearnedTasks(model_dir, configuration.build("Experiment.method"))


def refuse_other_bindings(run: Experiment, bindings: Mapping[str, str]) -> None:
    """Refuses to continue a run with bindings that change what is learned.

    The stream's own bindings may differ (a longer stream): its learned tasks
    are compared by their data. Its batch size may not.

    Raises:
        UserError: With the differing bindings.
    """
    if not run.resumed:
        return
    stream = bindings.get("Experiment.stream", "").lstrip("@")
    lines = configuration.differences(
        run.journal.bindings, bindings, (*HARMLESS, *_HARMLESS_BINDINGS)
    )
    kept = [
        line
        for line in lines
        if not line.startswith(f"{stream}.")
        or line.startswith(f"{stream}.batch_size")
    ]
    if kept:
        raise UserError(
            f"--model_dir {run.model_dir} belongs to another configuration: "
            f"{'; '.join(kept)}. Use the old values, or another --model_dir."
        )
    run.journal.bindings = dict(bindings)
