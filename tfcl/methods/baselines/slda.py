"""Streaming linear discriminant analysis on a frozen backbone."""

from __future__ import annotations

import typing
from typing import Annotated

import gin
import numpy as np
import tensorflow as tf

from tfcl.arguments import checked, within
from tfcl.methods.baselines.feature_statistics import class_means
from tfcl.methods.baselines.nearest_class_mean import NearestClassMean

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.methods.task_training import TaskTraining
    from tfcl.types import Tensor


@gin.configurable
class SLDA(NearestClassMean):
    """Deep streaming linear discriminant analysis.

    Means mu_k of the features of each class and one covariance Sigma of all
    features around the means of their classes give the output layer,

        Lambda = ((1 - shrinkage) Sigma + shrinkage I)^-1,
        w_k = Lambda mu_k,  b_k = -mu_k Lambda mu_k / 2.

    One pass over the data of a task, no gradient. Learned task by task in any
    order it is the analysis of all data at once, and that is the strong
    simple baseline on a good pretrained backbone. Means and covariance are
    sums in float64, of which a checkpoint holds 8 bytes per pair of features.

    Args:
        training: As of `FeatureStatistics`.
        shrinkage: Share of the unit matrix, above 0.
        heads: As of `SharedBackboneMethod`. Tasks that are told at test share
            the covariance, and answer by the columns of their classes.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Note:
        The paper updates the covariance example by example, around the mean
        of that moment; here it is around the final means.

    Reference:
        Hayes and Kanan, "Lifelong Machine Learning with Deep Streaming Linear
        Discriminant Analysis", CVPR Workshops 2020, eq. 1 to 4.
    """

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        shrinkage: Annotated[float, within("(0, 1]")] = 1e-4,
        heads: str | None = None,
        **options: Any,
    ):
        super().__init__(training, heads, **options)
        self.shrinkage = shrinkage

    def sum_shapes(
        self, classes: int, features: int
    ) -> dict[str, tuple[int, ...]]:
        shapes = super().sum_shapes(classes, features)
        return {**shapes, "products": (features, features)}

    def sums_of(self, features: Tensor, one: Tensor) -> dict[str, Tensor]:
        products = tf.matmul(features, features, transpose_a=True)
        return {**super().sums_of(features, one), "products": products}

    def solved(
        self, sums: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        means = class_means(sums)
        between = (means * sums["counts"][:, None]).T @ means
        covariance = (sums["products"] - between) / sums["counts"].sum()
        unit = np.eye(len(covariance))
        shrunk = (1.0 - self.shrinkage) * covariance + self.shrinkage * unit
        kernel = np.linalg.solve(shrunk, means.T)
        return kernel, -0.5 * np.einsum("kd,dk->k", means, kernel)
