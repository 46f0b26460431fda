"""What some methods can do beyond the contract, and how the engine asks.

`Method` (`tfcl.methods.base`) says what every method does. Growth, bundles,
embeddings and maps of the plane serve few of them; each is a protocol here. A
method names it among its base classes and writes its functions:

    class CLR(NetworkMethod, SupportsBundle):
        def bundle(self, finished): ...

The engine asks `isinstance(method, SupportsBundle)`, which never says which
method it is: a method of one's own that has the functions is served alike.
"""

import typing
from collections.abc import Callable, Hashable

import numpy as np
import tensorflow as tf

from tfcl.data.task import Task
from tfcl.methods.base import Method


@typing.runtime_checkable
class SupportsGrowth(typing.Protocol):
    """A method that has more variables after a task, or inside one.

    A run notes `structure()` in its journal at the begin of a task and at
    every save; a resumed one calls `grow_to` before it restores variables.
    """

    def structure(self) -> dict:
        """What the shapes of the variables depend on, JSON-ready."""
        ...

    def grow_to(self, structure: dict) -> None:
        """Rebuilds the variables of a fresh method to fit a `structure()`.

        Runs after `setup`, inside `strategy.scope()`, before a checkpoint is
        restored.
        """
        ...

    def graph(self) -> Hashable:
        """Name of the network in training.

        Steps are traced anew when it changes: after a growth.
        """
        ...

    def serving_graph(self) -> Hashable:
        """Name of the network behind `predict`.

        Evaluation is traced once for each: a method may serve old tasks by
        the network of their time. By default that is the one in training.
        """
        return self.graph()


@typing.runtime_checkable
class SupportsBundle(typing.Protocol):
    """A method with a network that takes images of several tasks in one pass.

    Without one, a bundle asks the network of each task for its images.
    """

    def bundle(self, finished: list[tuple[dict, int]]) -> Callable:
        """One network that serves examples of several finished tasks.

        Args:
            finished: `[(bank values, task index), ...]`.

        Returns:
            A callable of standardised images `(b, height, width, channels)`
            and places in `finished`, int32 `(b,)`, to logits `(b,
            max_classes)`, whose attribute `weights` lists its variables.
        """
        ...


@typing.runtime_checkable
class SupportsEmbedding(typing.Protocol):
    """A method that can compare images, for tasks measured by pairs."""

    def embed(self, images: tf.Tensor) -> tf.Tensor:
        """Traced: standardised images to what they are compared by.

        Args:
            images: `(b, height, width, channels)`.

        Returns:
            `(b, units)`, float32; angles between rows say who is alike.
        """
        ...


class PointMap(typing.NamedTuple):
    """What a classifier makes of the plane, for a figure.

    Attributes:
        name: Of the figure's file.
        title: Of the figure.
        points: Data, `(n, 2)` in [-1, 1].
        labels: Their classes, `(n,)`.
        regions: Classes found on a square grid over [-1.01, 1.01]^2, row by
            row of the second coordinate, `(k, k)`; or None.
        keys: `(m, 2)`, or None.
    """

    name: str
    title: str
    points: np.ndarray
    labels: np.ndarray
    regions: np.ndarray | None = None
    keys: np.ndarray | None = None


@typing.runtime_checkable
class SupportsPointMaps(typing.Protocol):
    """A method that shows what it makes of points in the plane."""

    def point_maps(self, task: Task) -> list[PointMap]:
        """`PointMap`s of a finished task, which is active; for reports.

        Empty for tasks that are no points.
        """
        ...


def structure_of(method: Method) -> dict | None:
    """`SupportsGrowth.structure` of a method, None if it does not grow."""
    return method.structure() if isinstance(method, SupportsGrowth) else None


def grow_to(method: Method, structure: dict | None) -> None:
    """Brings a fresh method to a noted structure; None asks for nothing.

    Raises:
        ValueError: If there is one, but the method does not grow.
    """
    if structure is None:
        return
    if not isinstance(method, SupportsGrowth):
        raise ValueError(
            f"{method.name} does not grow, but the run was learned by a method "
            "that does. Open it with the method of its config.gin. Received: "
            f"structure={structure!r}"
        )
    method.grow_to(structure)


def graph_of(method: Method) -> Hashable:
    """`SupportsGrowth.graph`; None, always the same, without growth."""
    return method.graph() if isinstance(method, SupportsGrowth) else None


def serving_graph_of(method: Method) -> Hashable:
    """`SupportsGrowth.serving_graph`; None without growth."""
    if not isinstance(method, SupportsGrowth):
        return None
    return method.serving_graph()
