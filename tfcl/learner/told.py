"""What a run says while it learns: lines of the log, without those of others."""

from __future__ import annotations

import contextlib
import logging as stdlib_logging
import pathlib
import sys
import typing

from absl import logging

from tfcl.errors import printable

if typing.TYPE_CHECKING:
    from collections.abc import Iterator


class SafeFormatter(logging.PythonFormatter):
    """As absl writes a line of the log, but names cannot control a terminal."""

    def format(self, record: stdlib_logging.LogRecord) -> str:
        return printable(super().format(record), lines=True)


def is_ours(record: stdlib_logging.LogRecord) -> bool:
    """Whether a line of the log is an error or of this package.

    TFDS and TensorFlow tell of every file they open.
    """
    own = pathlib.Path(__file__).parents[1]
    builders = own.with_name("data_builders")
    return record.levelno >= stdlib_logging.ERROR or any(
        place in (own, builders)
        for place in pathlib.Path(record.pathname).parents
    )


@contextlib.contextmanager
def told() -> Iterator[None]:
    """While open, a program that has set up no log of its own sees ours."""
    logger = logging.get_absl_logger()
    if stdlib_logging.root.handlers or logger.handlers:
        yield
        return
    handler = stdlib_logging.StreamHandler(sys.stderr)
    handler.setFormatter(SafeFormatter())
    handler.addFilter(is_ours)
    before, propagates = logging.get_verbosity(), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    logging.set_verbosity(logging.INFO)
    try:
        yield
    finally:
        logging.set_verbosity(before)
        logger.propagate = propagates
        logger.removeHandler(handler)
