"""Gradient descent, without memory or with the usual one."""

from __future__ import annotations

import typing

import gin
import keras
import tensorflow as tf

from tfcl.optimizers.sgd_nesterov import resource_of

if typing.TYPE_CHECKING:
    from tfcl.types import Tensor


@gin.configurable
class PlainSGD(keras.optimizers.SGD):
    """`w <- w - rate g`; a gradient of rows moves these rows alone.

    With momentum `v <- momentum v - rate g`, `w <- w + v`, for all rows.
    Keras' SGD under a name that gin knows; without momentum one operation per
    variable where that takes two.

    Args:
        learning_rate: Positive float or a Keras schedule.
        momentum: In [0, 1].
        name: Name of the optimizer.
        **kwargs: As for `keras.optimizers.Optimizer`.
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        name: str = "plain_sgd",
        **kwargs,
    ):
        super().__init__(
            learning_rate=learning_rate, momentum=momentum, name=name, **kwargs
        )

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: float
    ) -> None:
        if self.momentum or isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        tf.raw_ops.ResourceApplyGradientDescent(
            var=resource_of(variable),
            alpha=tf.cast(learning_rate, variable.dtype),
            delta=tf.cast(gradient, variable.dtype),
        )
