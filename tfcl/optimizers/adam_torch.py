"""Adam with epsilon outside the bias correction."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Annotated

import gin
import keras
import tensorflow as tf

from tfcl.arguments import PositiveFloat, checked, within
from tfcl.optimizers.sgd_nesterov import resource_of

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.types import Tensor


@gin.configurable
class AdamTorch(keras.optimizers.Optimizer):
    """Adam as its paper and PyTorch have it.

    `m <- b1 m + (1 - b1) g`, `v <- b2 v + (1 - b2) g^2` and, in step k,
    `w <- w - rate m' / (sqrt(v') + epsilon)` with `m' = m / (1 - b1^k)`,
    `v' = v / (1 - b2^k)`.

    `keras.optimizers.Adam` folds the corrections into the rate, so that its
    epsilon counts 1 / sqrt(1 - b2^k) times, 32 times in the first step. For
    tiny gradients, such as those of picking scores, that shortens the steps.

    Args:
        learning_rate: Positive float or a Keras schedule.
        beta_1: Discount of the mean, in [0, 1).
        beta_2: Discount of the mean square, in [0, 1).
        epsilon: Added to the corrected root; positive.
        **kwargs: As for `keras.optimizers.Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR
        2015, algorithm 1; `torch.optim.Adam`.
    """

    @checked
    def __init__(
        self,
        learning_rate: float | Callable = 0.001,
        beta_1: Annotated[float, within("[0, 1)")] = 0.9,
        beta_2: Annotated[float, within("[0, 1)")] = 0.999,
        epsilon: PositiveFloat = 1e-8,
        name: str = "adam_torch",
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._means = self.add_optimizer_variables(variables, "mean")
        self._squares = self.add_optimizer_variables(variables, "square")

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: float
    ) -> None:
        index = self._get_variable_index(variable)
        mean, square = self._means[index], self._squares[index]
        # 1 - 0.999^k in float32 would be off by 5e-5 in the first step.
        root = tf.sqrt(self._left(self.beta_2))
        rate = tf.cast(learning_rate, tf.float64) * root
        rate /= self._left(self.beta_1)

        def as_weight(value):
            if tf.is_tensor(value):
                return tf.cast(value, variable.dtype)
            # A cast would lead a number through float32.
            return tf.constant(value, variable.dtype)

        # The operation has epsilon inside the correction and corrects by powers
        # of beta: both are given so that algorithm 1 results.
        tf.raw_ops.ResourceApplyAdam(
            var=resource_of(variable),
            m=resource_of(mean),
            v=resource_of(square),
            beta1_power=as_weight(0.0),
            beta2_power=as_weight(0.0),
            lr=as_weight(rate),
            beta1=as_weight(self.beta_1),
            beta2=as_weight(self.beta_2),
            epsilon=as_weight(self.epsilon * root),
            grad=as_weight(gradient),
        )

    def _left(self, beta):
        """`1 - beta^k`, float64."""
        step = tf.cast(self.iterations + 1, tf.float64)
        return 1.0 - tf.pow(tf.constant(beta, tf.float64), step)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
