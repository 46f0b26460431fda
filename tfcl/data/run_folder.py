"""The folder of the run that a stream is made for."""

from __future__ import annotations

import contextlib
import contextvars
import typing

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator


_FOLDER: contextvars.ContextVar[pathlib.Path | None] = contextvars.ContextVar(
    "folder of the run", default=None
)


@contextlib.contextmanager
def made_for(folder: pathlib.Path) -> Iterator[None]:
    """Streams that are made inside find what a run keeps of their tasks.

    Args:
        folder: Of the run.
    """
    token = _FOLDER.set(folder)
    try:
        yield
    finally:
        _FOLDER.reset(token)


def run_folder() -> pathlib.Path | None:
    """The folder of the run, None outside of `made_for`."""
    return _FOLDER.get()
