"""Mean and covariance of classes' features, to draw from."""

from __future__ import annotations

import typing

import numpy as np
import tensorflow as tf

from tfcl.models.variables import statistic
from tfcl.replay.table import Column, Table

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Tensor


_RIDGE = 1e-4  # Added to the diagonal of a covariance.


class ClassStatistics:
    """Mean and covariance of the features of each class, to draw from.

    Args:
        classes: Number of classes.
        features: d.
        at_once: Classes whose features are summed up in one pass, c.

    Attributes:
        sums: Variables that an `Accumulate` with `step` fills, float64:
            counts `(c,)`, sums `(c, d)`, products `(c, d, d)`.
        table: `Table` with a row per class: `means` `(d,)`, and `roots`
            `(d, d)`, the Cholesky factors of the covariances.
        variables: All variables of this object.
    """

    def __init__(self, classes: int, features: int, at_once: int):
        part = (at_once, features)
        self.sums = [
            statistic(np.zeros(size), f"sums_{number}", "float64")
            for number, size in enumerate(((at_once,), part, (*part, features)))
        ]
        self.table = Table(
            classes,
            {
                "means": Column((features,)),
                "roots": Column((features, features)),
            },
        )
        self.variables = [*self.sums, *self.table.variables]

    def step(
        self, features: Tensor, labels: Tensor, first: Tensor
    ) -> list[Tensor]:
        """What a batch adds to `sums`, whose first class is `first`."""
        features = tf.cast(features, tf.float64)
        at_once = self.sums[0].shape[0]
        one = tf.one_hot(labels - first, at_once, dtype=tf.float64)
        return [
            tf.reduce_sum(one, axis=0),
            tf.matmul(one, features, transpose_a=True),
            tf.einsum("bc,bi,bj->cij", one, features, features),
        ]

    def note(self, first: int) -> None:
        """Takes means and covariances of the classes from `first` on."""
        counts, sums, products = (v.numpy() for v in self.sums)
        # None in a resumed run, whose variables are not restored yet.
        noted = np.flatnonzero(counts)
        found = [moments(counts[k], sums[k], products[k]) for k in noted]
        if not found:
            return
        means, covariances = map(np.stack, zip(*found))
        self.table.assignment(
            tf.constant(first + noted, tf.int32),
            {"means": means, "roots": np.linalg.cholesky(covariances)},
        )()

    def drawn(self, labels: Tensor, factors: Any, seed: Tensor) -> Any:
        """Features drawn from the normal distribution of each label."""
        means = tf.gather(tf.convert_to_tensor(self.table["means"]), labels)
        roots = tf.convert_to_tensor(self.table["roots"])
        noise = tf.random.stateless_normal(tf.shape(means), seed)
        # One root at a time: those of a batch would take more than all.
        spread = tf.map_fn(
            lambda pair: tf.linalg.matvec(roots[pair[0]], pair[1]),
            (labels, noise),
            fn_output_signature=noise.dtype,
        )
        return means * factors[:, None] + spread


def moments(
    count: int, total: Tensor, products: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean, and covariance over n - 1 with 1e-4 on its diagonal."""
    mean = total / count
    centred = products - count * np.outer(mean, mean)
    covariance = centred / max(count - 1, 1)
    return mean, covariance + np.eye(len(mean)) * np.float32(_RIDGE)
