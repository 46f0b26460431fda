"""Streams of points in the plane, seen once, as one task without borders."""

from __future__ import annotations

from typing import Annotated

import gin
import numpy as np

from tfcl.arguments import PositiveInt, checked, one_of
from tfcl.data.preprocessing import Preprocessing
from tfcl.data.sources import tfds_source
from tfcl.data.split import Split
from tfcl.data.task import Task, TaskStream
from tfcl.types import Folder


@gin.configurable(denylist=["data_dir"])
@checked
def point_stream(
    dataset: Annotated[str, one_of("modes", "moons")] = gin.REQUIRED,
    order: Annotated[str, one_of("iid", "ci", "cdi", "cdid")] = gin.REQUIRED,
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
    splits, domains = {}, {}
    for split in ("train", "validation", "test"):
        columns, names = tfds_source.read_columns(
            name,
            split,
            ("point", "label", "domain", "distribution"),
            data_dir,
        )
        domains.update(zip(columns["distribution"], columns["domain"]))
        splits[split] = vector_split(
            columns["point"], columns["label"], columns["distribution"]
        )
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
    return TaskStream(name, [task], batch_size)


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
