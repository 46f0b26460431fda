"""Adam that moves only the rows of a weight that have a gradient."""

from __future__ import annotations

import typing

import gin
import keras
import tensorflow as tf

from tfcl.optimizers.adam_torch import AdamTorch

if typing.TYPE_CHECKING:
    from tfcl.types import Tensor


@gin.configurable
class LazyAdam(AdamTorch):
    """`AdamTorch` with sparse steps for gradients of rows.

    A `tf.IndexedSlices` moves its rows, their mean and mean square, and
    nothing else: rows without a gradient neither go on by their momentum nor
    forget it. Much faster where few rows of a large weight are touched (one
    memory unit of a hundred), and other numbers than Adam. Dense gradients
    are treated as by `AdamTorch`.

    Args:
        learning_rate, beta_1, beta_2, epsilon, **kwargs: As of `AdamTorch`.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        name: str = "lazy_adam",
        **kwargs,
    ):
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, name=name, **kwargs
        )

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: float
    ) -> None:
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        rows, values = (
            gradient.indices,
            tf.cast(gradient.values, variable.dtype),
        )
        # A row that comes twice gets the sum, both times.
        same = tf.cast(rows[:, None] == rows, values.dtype)
        values = tf.matmul(same, values)
        index = self._get_variable_index(variable)
        mean, square, weight = (
            v.value if isinstance(v, keras.Variable) else v
            for v in (self._means[index], self._squares[index], variable)
        )
        for state, beta, power in (
            (mean, self.beta_1, 1),
            (square, self.beta_2, 2),
        ):
            new = beta * tf.gather(state, rows) + (1.0 - beta) * values**power
            state.scatter_update(tf.IndexedSlices(new, rows))
        root = tf.sqrt(self._left(self.beta_2))
        rate = tf.cast(learning_rate, tf.float64) * root
        rate = tf.cast(rate / self._left(self.beta_1), values.dtype)
        epsilon = tf.cast(self.epsilon * root, values.dtype)
        # Read again: XLA would copy what it reads from before the update.
        step = rate * tf.gather(mean, rows)
        step /= tf.sqrt(tf.gather(square, rows)) + epsilon
        moved = tf.gather(weight, rows) - step
        weight.scatter_update(tf.IndexedSlices(moved, rows))
