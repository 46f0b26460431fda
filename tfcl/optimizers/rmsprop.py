"""RMSProp as TensorFlow 1 computed it."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Annotated

import keras

from tfcl.arguments import PositiveFloat, checked, within

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.types import Tensor


class RMSPropTF1(keras.optimizers.Optimizer):
    """RMSProp with the accumulator started at one and epsilon in the root.

    `ms <- rho ms + (1 - rho) g^2`, `w <- w - rate g / sqrt(ms + epsilon)`.

    `keras.optimizers.RMSprop` differs twice: its accumulator starts at zero
    (first steps about 3x longer) and its epsilon stands outside the root.
    The systems of the LASEM line were tuned with the form above.

    Args:
        learning_rate: Positive float or a Keras schedule.
        rho: Discount of the mean square, in [0, 1).
        epsilon: Added inside the root; positive.
        **kwargs: As for `keras.optimizers.Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Tieleman and Hinton, Coursera lecture 6.5, 2012, in the form of
        TensorFlow 1.14's `tf.train.RMSPropOptimizer` (momentum 0, not
        centred).
    """

    @checked
    def __init__(
        self,
        learning_rate: float | Callable = 0.001,
        rho: Annotated[float, within("[0, 1)")] = 0.9,
        epsilon: PositiveFloat = 1e-10,
        name: str = "rmsprop_tf1",
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.rho = rho
        self.epsilon = epsilon

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._mean_squares = self.add_optimizer_variables(
            variables, "mean_square", initializer="ones"
        )

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: float
    ) -> None:
        mean_square = self._mean_squares[self._get_variable_index(variable)]
        rate = keras.ops.cast(learning_rate, variable.dtype)
        gradient = keras.ops.cast(gradient, variable.dtype)
        updated = self.rho * mean_square + (1.0 - self.rho) * (
            gradient * gradient
        )
        self.assign(mean_square, updated)
        self.assign_sub(
            variable,
            rate * gradient * keras.ops.rsqrt(updated + self.epsilon),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rho": self.rho,
            "epsilon": self.epsilon,
        }
