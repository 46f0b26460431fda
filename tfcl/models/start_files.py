"""The way to the files that backbones begin with, for runs that keep them."""

from __future__ import annotations

import contextlib
import contextvars
import typing

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator
    from typing import Any


_KEEPER = contextvars.ContextVar("keeper of start files", default=None)


@contextlib.contextmanager
def kept_by(keeper: Any) -> Iterator[None]:
    """Backbones that are built inside take their files from a keeper.

    Args:
        keeper: Object with `given(path)` and `built(name, build)`, which do
            what the functions of this module do.
    """
    token = _KEEPER.set(keeper)
    try:
        yield
    finally:
        _KEEPER.reset(token)


def given(path: str | pathlib.Path) -> str | pathlib.Path:
    """Where to read a file that a user has named.

    Args:
        path: As the user gave it.

    Returns:
        `path`, or that of a copy with the content that the run began with.

    Raises:
        RunError: If that content is lost.
    """
    keeper = _KEEPER.get()
    return path if keeper is None else keeper.given(path)


def built(name: str, build: Callable[..., Any]) -> Any:
    """A model that cannot be built without a download.

    Args:
        name: Of the model.
        build: Function without arguments to the model.

    Returns:
        The model that the run began with or, if there is none yet, what
        `build` returns.

    Raises:
        RunError: If the run's copy is lost.
    """
    keeper = _KEEPER.get()
    return build() if keeper is None else keeper.built(name, build)
