"""What is known of a test image: its task, or not even that.

Three scenarios (van de Ven, Tuytelaars, Tolias, "Three types of incremental
learning", Nature Machine Intelligence 2022), and a fourth way to see the data:

- `TASK`: a test image comes with its task;
- `DOMAIN`: all tasks have the same classes, and it comes without;
- `CLASS`: tasks bring classes of their own, it comes without, and the answer
  is one of all classes seen so far;
- `ONLINE`: each training example is seen once, without borders between tasks.

A stream says what it is by `TaskStream.scenario`, and before it prepares data
by `announce`. Who builds a stream for a learner that is not made for all of
them listens by `announced_to`, and so hears it in time, however many streams
are wrapped around each other.
"""

from __future__ import annotations

import contextlib
import contextvars
import typing

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterator


TASK, DOMAIN, CLASS, ONLINE = SCENARIOS = ("task", "domain", "class", "online")

_LISTENER: contextvars.ContextVar[Callable[[str, str], None] | None] = (
    contextvars.ContextVar("listener", default=None)
)


def announce(scenario: str, stream: str) -> None:
    """Says what a stream is going to be.

    Streams call it first of all, before they read or prepare data.

    Args:
        scenario: One of `SCENARIOS`.
        stream: Name of the stream factory, for messages.
    """
    listener = _LISTENER.get()
    if listener is not None:
        listener(scenario, stream)


@contextlib.contextmanager
def announced_to(listener: Callable[[str, str], None] | None) -> Iterator[None]:
    """While open, streams tell `listener` their scenario and name.

    Args:
        listener: May raise an error, which ends the making of the stream.
            None hears nothing.
    """
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)
