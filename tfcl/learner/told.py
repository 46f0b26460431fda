"""What a run says: its lines of the log, without those of others."""

from __future__ import annotations

import contextlib
import functools
import logging as stdlib_logging
import pathlib
import sys
import time
import typing

from absl import logging

from tfcl.errors import printable

if typing.TYPE_CHECKING:
    from collections.abc import Iterator


class SafeFormatter(logging.PythonFormatter):
    """As absl writes a line of the log, but names cannot control a terminal."""

    def format(self, record: stdlib_logging.LogRecord) -> str:
        return printable(super().format(record), lines=True)


class TerminalFormatter(stdlib_logging.Formatter):
    """For people who look on: the time and the message, no place in the code.

    A line of a file has all, `SafeFormatter`.
    """

    def format(self, record: stdlib_logging.LogRecord) -> str:
        when = time.strftime("%H:%M:%S", time.localtime(record.created))
        return f"{when} {_PlainFormatter().format(record)}"


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


class _PlainFormatter(stdlib_logging.Formatter):
    """Messages alone, as a notebook shows them."""

    def format(self, record: stdlib_logging.LogRecord) -> str:
        level = record.levelname.capitalize()
        message = printable(record.getMessage(), lines=True)
        warns = record.levelno >= stdlib_logging.WARNING
        return f"{level}: {message}" if warns else message


@functools.cache
def _has_its_own_log():
    """Whether the program had set up a log before it learned first."""
    logger = logging.get_absl_logger()
    return bool(stdlib_logging.root.handlers or logger.handlers)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """While open, a program that has set up no log of its own sees ours."""
    logger = logging.get_absl_logger()
    if _has_its_own_log() or logger.handlers:
        yield
        return
    handler = stdlib_logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PlainFormatter())
    handler.addFilter(is_ours)
    before, propagates = logging.get_verbosity(), logger.propagate
    level = logger.level  # Perhaps none: that of the program's root logger.
    logger.addHandler(handler)
    logger.propagate = False
    logging.set_verbosity(logging.INFO)
    try:
        yield
    finally:
        logging.set_verbosity(before)
        logger.setLevel(level)
        logger.propagate = propagates
        logger.removeHandler(handler)
