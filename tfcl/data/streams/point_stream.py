"""Streams of points in the plane, seen once, as one task without borders."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Annotated

import gin
import numpy as np

from tfcl.arguments import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    checked,
    one_of,
    require,
)
from tfcl.data.preprocessing import Preprocessing
from tfcl.data.scenario import ONLINE
from tfcl.data.sources import tfds_source
from tfcl.data.split import Split
from tfcl.data.task import Task, TaskStream
from tfcl.data_builders import point_shapes, point_streams
from tfcl.types import Folder

_Order = Annotated[str, one_of("iid", "ci", "cdi", "cdid")]


@gin.configurable(denylist=["data_dir"])
@checked
def point_stream(
    dataset: Annotated[str, one_of("modes", "moons")] = gin.REQUIRED,
    order: _Order = gin.REQUIRED,
    batch_size: PositiveInt = 1,
    data_dir: Folder | None = None,
) -> TaskStream:
    """MODES or MOONS: 1,000 points of four classes in two domains.

    The one task's splits lie in the order of the stream; their groups are the
    numbers of the distributions. A point is an image of one pixel with two
    channels, float32, not standardised. Validation knows the first half of
    the distributions only.

    Args:
        dataset: "modes" (Gaussian blobs) or "moons".
        order: "iid" (one distribution), "ci" (by class: 4), "cdi" (by domain
            and class: 8) or "cdid" (as that, drifting inside each).
        batch_size: Points per step; it divides every distribution.
        data_dir: Folder of prepared TFDS data sets.

    Raises:
        ValueError: If an argument breaks its rule.

    Reference:
        Tiezzi et al., "Memory Head for Pre-Trained Backbones in Continual
        Learning", CoLLAs 2024; Tiezzi et al., "Continual Neural
        Computation", ECML-PKDD 2024.
    """
    name = f"{dataset}_{order}"

    def read(split):
        places = ("point", "label", "domain", "distribution")
        columns, names = tfds_source.read_columns(name, split, places, data_dir)
        return [columns[place] for place in places], names

    return one_task_of_points(name, order, batch_size, read)


def one_task_of_points(
    name: str,
    order: str,
    batch_size: int,
    read: Callable[[str], tuple[Sequence[np.ndarray], Sequence[str]]],
) -> TaskStream:
    """A stream of points as one task.

    Args:
        name: Of the stream and its task.
        order: "iid", "ci", "cdi" or "cdid".
        batch_size: Points per step; it divides every distribution.
        read: Function from a split's name to `((points, labels, domains,
            distributions), class names)`: `(n, 2)` and three times `(n,)`.

    Raises:
        ValueError: If an argument breaks its rule.
    """
    names: Sequence[str] = ()
    splits, domains = {}, {}
    for split in ("train", "validation", "test"):
        (points, labels, where, numbers), names = read(split)
        domains.update(zip(numbers, where))
        splits[split] = vector_split(points, labels, numbers)
    _check_whole_batches(splits["train"], batch_size)
    task = Task(
        index=0,
        name=name,
        class_names=tuple(names),
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        preprocessing=Preprocessing((1, 1, 2), (0.0, 0.0), (1.0, 1.0)),
        domains=tuple(int(domains[k]) for k in sorted(domains)),
    )
    return TaskStream(name, [task], batch_size, scenario=ONLINE)


def _check_whole_batches(split, size):
    counts = np.bincount(split.groups)
    if any(counts % size):
        raise ValueError(
            "Argument `batch_size` must divide every distribution; these have "
            f"{sorted(set(counts.tolist()))} points. Received: "
            f"batch_size={size}"
        )


def vector_split(
    vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> Split:
    """A float32 `Split` of vectors, as images of one pixel.

    Args:
        vectors: `(n, features)`.
        labels: `(n,)` integers.
        groups: `(n,)` integers from 0.
    """
    vectors = np.asarray(vectors, np.float32)
    shape = (int(np.max(groups)) + 1, vectors.shape[-1])
    return Split(
        vectors[:, None, None],
        np.asarray(labels, np.int32),
        np.zeros(shape),
        np.ones(shape),
        groups=np.asarray(groups, np.int32),
        scale=1.0,
    )


@gin.configurable
class Modes:
    """A Gaussian blob per class and domain.

    Every domain has the same share of a class. The defaults draw the
    published set.

    Args:
        points: Of all classes and domains together; the splits take 1/2
            (training), 1/4 (validation, of which the first half of the
            distributions stays) and 1/4 (test).
        class_ratio: Share of the points per class; they sum to 1.
        centres: Per domain and class, `(x, y)`.
        deviations: Per domain and class, the standard deviation.
        seeds: Per domain and class.

    Raises:
        ValueError: If an argument breaks its rule.

    Reference:
        Tiezzi et al., CoLLAs 2024, "MODES".
    """

    @checked
    def __init__(
        self,
        points: PositiveInt = 2000,
        class_ratio: Sequence[PositiveFloat] = (*(0.2, 0.4, 0.1, 0.3),),
        centres: Sequence[Sequence[Sequence[float]]] = (
            point_shapes.MODES["centres"]
        ),
        deviations: Sequence[Sequence[NonNegativeFloat]] = (
            point_shapes.MODES["deviations"]
        ),
        seeds: Sequence[Sequence[NonNegativeInt]] = (
            point_shapes.MODES["seeds"]
        ),
    ):
        self.classes = len(class_ratio)
        domains = _require_tables(
            self.classes, centres=centres, deviations=deviations, seeds=seeds
        )
        counts = _counts(points, class_ratio, domains)
        self._draw = functools.partial(
            point_shapes.blobs, counts, centres, deviations, seeds
        )

    def drawn(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`(points, labels, domains)` by class and domain."""
        return self._draw()


@gin.configurable
class Moons:
    """Two half circles per pair of classes and domain, with noise.

    Args:
        points: As in `Modes`.
        class_ratio: As in `Modes`, for an even number of classes: 0 and 1 are
            the outer and the inner moon of one drawing, and so on.
        offsets: Per domain and pair, where its drawing is moved to.
        deviations: Per domain and pair, the standard deviation of the noise.
        seeds: Per domain and pair.

    Raises:
        ValueError: If an argument breaks its rule.

    Reference:
        Tiezzi et al., CoLLAs 2024, "MOONS".
    """

    @checked
    def __init__(
        self,
        points: PositiveInt = 2000,
        class_ratio: Sequence[PositiveFloat] = (*(0.4, 0.1, 0.3, 0.2),),
        offsets: Sequence[Sequence[Sequence[float]]] = (
            point_shapes.MOONS["offsets"]
        ),
        deviations: Sequence[Sequence[NonNegativeFloat]] = (
            point_shapes.MOONS["deviations"]
        ),
        seeds: Sequence[Sequence[NonNegativeInt]] = (
            point_shapes.MOONS["seeds"]
        ),
    ):
        self.classes = len(class_ratio)
        require(
            self.classes % 2 == 0,
            "class_ratio",
            "must have an even number of entries, two moons for each drawing",
            class_ratio,
        )
        pairs = self.classes // 2
        domains = _require_tables(
            pairs, offsets=offsets, deviations=deviations, seeds=seeds
        )
        counts = _counts(points, class_ratio, domains)
        self._draw = functools.partial(
            point_shapes.moons, counts, offsets, deviations, seeds
        )

    def drawn(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`(points, labels, domains)` by pair of classes and domain."""
        return self._draw()


@gin.configurable(denylist=["data_dir"])
@checked
def drawn_point_stream(
    shape: Modes | Moons = gin.REQUIRED,
    order: _Order = gin.REQUIRED,
    batch_size: PositiveInt = 1,
    data_dir: Folder | None = None,
) -> TaskStream:
    """Points of the user's own numbers as a stream, seen once.

    Scaled, split and ordered as `point_stream`, whose published sets it equals
    with the defaults of `Modes` and `Moons`.

    Args:
        shape: Draws the points.
        order: "iid", "ci", "cdi" or "cdid"; see `point_stream`.
        batch_size: Points per step; it divides every distribution.
        data_dir: Not used; streams have it.

    Raises:
        ValueError: If an argument breaks its rule.
    """
    del data_dir
    drawn = shape.drawn()
    name = f"{type(shape).__name__.lower()}_{order}"
    classes = tuple(str(k) for k in range(shape.classes))
    return one_task_of_points(
        name,
        order,
        batch_size,
        lambda split: (point_streams.stream(*drawn, order, split), classes),
    )


def _counts(points, ratio, domains):
    """Points per class in one domain."""
    counts = [points * share / domains for share in ratio]
    require(
        abs(sum(ratio) - 1) < 1e-6, "class_ratio", "must sum to 1", tuple(ratio)
    )
    # Each split takes every second or every fourth row.
    require(
        all(abs(n - round(n)) < 1e-6 and round(n) % 4 == 0 for n in counts),
        "points",
        f"times a share of `class_ratio`, divided by {domains} domains, must "
        f"be a multiple of 4; these are {', '.join(f'{n:g}' for n in counts)}",
        points,
    )
    return [round(n) for n in counts]


def _require_tables(columns, **tables):
    """Number of domains: of rows, which all tables have as the first has."""
    domains = len(next(iter(tables.values())))
    for name, table in tables.items():
        require(
            len(table) == domains > 0
            and all(len(row) == columns for row in table),
            name,
            f"must have a row for each of {domains} domains with {columns} "
            "entries",
            table,
        )
    return domains
