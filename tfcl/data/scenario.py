"""What is known of a test image: its task, or not even that.

A stream that withholds the task says so by `withhold_task` before it prepares
data, and by `TaskStream.task_known`. Who builds a stream for a learner that
needs the task listens by `withheld_task`, and so hears it in time, however many
streams are wrapped around each other.
"""

from __future__ import annotations

import contextlib
import contextvars
import typing

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_LISTENER: contextvars.ContextVar[Callable[[str], None] | None] = (
    contextvars.ContextVar("listener", default=None)
)


def withhold_task(stream: str) -> None:
    """Says that test images of a stream come without their task.

    Streams call it first of all, before they read or prepare data.

    Args:
        stream: Name of the stream factory, for messages.
    """
    listener = _LISTENER.get()
    if listener is not None:
        listener(stream)


@contextlib.contextmanager
def withheld_task(listener: Callable[[str], None]) -> Iterator[None]:
    """While open, streams that withhold the task tell `listener` their name.

    Args:
        listener: May raise an error, which ends the making of the stream.
    """
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)
