"""Memory that traced functions would keep until its process ends."""

from __future__ import annotations

import typing
import weakref

from tensorflow.python.framework import ops

if typing.TYPE_CHECKING:
    from collections.abc import Collection


# By `tf.custom_gradient`, each traced function that uses one adds an entry,
# which holds its graph, and with it the method and all its values, until the
# process ends. TensorFlow has no public way to remove one.
_REGISTRY = ops.gradient_registry._registry


def custom_gradients() -> frozenset[str]:
    """Names of the custom gradients of all functions traced so far."""
    return frozenset(
        name for name in _REGISTRY if name.startswith("CustomGradient-")
    )


def forget_custom_gradients(kept: Collection[str] = ()) -> int:
    """Drops custom gradients, which a traced function needs no longer.

    Its gradients were built when it was traced.

    Args:
        kept: Names of those that stay.

    Returns:
        How many were dropped.
    """
    names = custom_gradients().difference(kept)
    for name in names:
        del _REGISTRY[name]
    return len(names)


class Traces:
    """The functions that are traced while a run is open.

    When the last of the runs that are open in a process is closed, what they
    have traced is no longer held by TensorFlow. What was there before, of a
    program around them, stays. A run that was dropped without being closed
    counts as closed.
    """

    _open: typing.ClassVar[weakref.WeakSet[Traces]] = weakref.WeakSet()
    _before: typing.ClassVar[frozenset[str]] = frozenset()

    def __init__(self):
        if not Traces._open:
            Traces._before = custom_gradients()
        Traces._open.add(self)

    def close(self) -> None:
        """Lets go of the functions; closing twice does nothing."""
        if self not in Traces._open:
            return
        Traces._open.discard(self)
        if not Traces._open:
            forget_custom_gradients(Traces._before)
