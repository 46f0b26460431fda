"""Nesterov momentum with the rate outside the velocity."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Annotated

import gin
import keras
import tensorflow as tf

from tfcl.arguments import checked, within

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.types import Tensor


@gin.configurable
class SGDNesterov(keras.optimizers.Optimizer):
    """SGD with Nesterov momentum as PyTorch computes it.

    `buf <- momentum buf + g`, `w <- w - rate (g + momentum buf)`, and the
    buffer starts at zero, so that it is g after the first step.

    `keras.optimizers.SGD` keeps the rate inside the velocity: the same while
    the rate is constant, other steps after each decay. A weight whose
    gradients are zero from the first step on never moves.

    Args:
        learning_rate: Positive float or a Keras schedule.
        momentum: In [0, 1).
        **kwargs: As for `keras.optimizers.Optimizer`.

    Raises:
        ValueError: If `momentum` is out of range.

    Reference:
        `torch.optim.SGD(momentum=..., nesterov=True)`, dampening 0; the form
        of Sutskever et al., "On the importance of initialization and momentum
        in deep learning", ICML 2013, with the rate factored out.
    """

    nesterov = True

    @checked
    def __init__(
        self,
        learning_rate: float | Callable = 0.01,
        momentum: Annotated[float, within("[0, 1)")] = 0.9,
        name: str = "sgd_nesterov",
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.momentum = momentum

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._buffers = self.add_optimizer_variables(variables, "buffer")

    def buffer_of(self, variable: keras.Variable) -> keras.Variable:
        """The momentum buffer of a variable, as a `keras.Variable`."""
        return self._buffers[self._get_variable_index(variable)]

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: float
    ) -> None:
        # One operation instead of seven passes over the weights.
        tf.raw_ops.ResourceApplyMomentum(
            var=resource_of(variable),
            accum=resource_of(self.buffer_of(variable)),
            lr=tf.cast(learning_rate, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
            momentum=tf.constant(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum}


def resource_of(variable: keras.Variable) -> Tensor:
    """The handle of a `keras.Variable` or `tf.Variable`, for raw operations.

    Of a mirrored one inside an optimizer's update: this replica's.
    """
    if isinstance(variable, keras.Variable):
        variable = variable.value
    return variable.handle
