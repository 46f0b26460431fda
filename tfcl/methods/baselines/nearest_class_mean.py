"""The nearest class mean in the features of a frozen backbone."""

from __future__ import annotations

import typing

import gin
import numpy as np
import tensorflow as tf

from tfcl.methods.baselines.feature_statistics import (
    FeatureStatistics,
    class_means,
)

if typing.TYPE_CHECKING:
    from tfcl.types import Tensor


@gin.configurable
class NearestClassMean(FeatureStatistics):
    """Answers with the class whose mean feature is nearest (NCM).

    |x - mu_y|^2 = |x|^2 - 2 mu_y x + |mu_y|^2, whose first term is the same
    for all classes: a dense layer with `W = 2 mu`, `b = -|mu|^2` answers. One
    pass over the data of a task, no gradient, nothing forgotten: the logits of
    old classes keep every bit, unless tasks share their classes.

    Args: As of `FeatureStatistics`.

    Reference:
        Mensink et al., "Distance-Based Image Classification: Generalizing to
        New Classes at Near-Zero Cost", TPAMI 2013, eq. 1, without the metric.
    """

    def sum_shapes(
        self, classes: int, features: int
    ) -> dict[str, tuple[int, ...]]:
        return {"counts": (classes,), "sums": (classes, features)}

    def sums_of(self, features: Tensor, one: Tensor) -> dict[str, Tensor]:
        return {
            "counts": tf.reduce_sum(one, axis=0),
            "sums": tf.matmul(one, features, transpose_a=True),
        }

    def solved(
        self, sums: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        means = class_means(sums)
        return 2.0 * means.T, -np.square(means).sum(axis=1)
