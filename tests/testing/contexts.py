"""Context managers that stay open for a test; `unittest` of 3.10 has none."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any


def entered(
    context: contextlib.AbstractContextManager, add_cleanup: Callable
) -> Any:
    """What a context manager gives, until a test or its class has ended.

    Args:
        context: Entered now.
        add_cleanup: `addCleanup` of a test or `addClassCleanup` of its class.
    """
    stack = contextlib.ExitStack()
    add_cleanup(stack.close)
    return stack.enter_context(context)


@contextlib.contextmanager
def working_folder(folder: str | os.PathLike) -> Iterator[None]:
    """Makes `folder` the working folder while it is open."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
