"""What makes a convolution kernel out of shared and a task's variables."""

from __future__ import annotations

import abc
import typing

import keras

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


class KernelGenerator(keras.layers.Layer, abc.ABC):
    """Base of the transfer mechanisms of a convolution.

    A generator holds variables that all tasks share and variables of the
    task in hand, and computes kernel and bias from them. It is built with the
    shape of the kernel, not of an image.

    Args:
        use_bias: Whether the convolution has a bias.

    Attributes:
        shared_variables: Variables that serve all tasks.
        task_variables: Variables of the task in hand.
    """

    prefix = "transfer"

    def __init__(self, use_bias: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.use_bias = use_bias
        self.shared_variables = []
        self.task_variables = []
        self._named = []

    def build(self, kernel_shape: Shape) -> None:
        """Makes the weights for a kernel `(height, width, in, out)`."""
        self.kernel_shape = tuple(kernel_shape)
        self.make_weights(self.kernel_shape)
        self.built = True

    @abc.abstractmethod
    def make_weights(self, kernel_shape: Shape) -> None:
        """Makes all weights by `shared_weight` and `task_weight`."""

    @abc.abstractmethod
    def pair(self) -> tuple[Tensor, Tensor | None]:
        """Kernel `(height, width, in, out)` and bias `(out,)` or None."""

    def call(self, _: Any | None = None) -> Tensor:
        return self.pair()

    def shared_weight(
        self, name: str, shape: Shape, initializer: Any, trainable: bool = True
    ) -> keras.Variable:
        """A weight that serves all tasks."""
        return self._weight(
            name, shape, initializer, self.shared_variables, trainable
        )

    def shared_pair(
        self,
        kernel_shape: Shape,
        kernel_initializer: Any,
        bias_initializer: Any,
    ) -> tuple[keras.Variable, keras.Variable | None]:
        """A kernel that serves all tasks, and its bias or None."""
        kernel = self.shared_weight("kernel", kernel_shape, kernel_initializer)
        bias = None
        if self.use_bias:
            bias = self.shared_weight(
                "bias", kernel_shape[-1:], bias_initializer
            )
        return kernel, bias

    def task_weight(
        self, name: str, shape: Shape, initializer: Any
    ) -> keras.Variable:
        """A weight of the task in hand."""
        return self._weight(name, shape, initializer, self.task_variables)

    def _weight(self, name, shape, initializer, group, trainable=True):
        initializer = keras.initializers.get(initializer)
        variable = self.add_weight(
            name=f"{self.prefix}_{name}",
            shape=tuple(shape),
            initializer=initializer,
            trainable=trainable,
        )
        group.append(variable)
        self._named.append((variable.name, variable, initializer))
        return variable

    def owned_variables(self) -> list[tuple[str, keras.Variable, Any]]:
        """`(name, variable, initializer)` of each variable."""
        return list(self._named)

    def penalty(self) -> Tensor | None:
        """What training adds for the task's variables; a scalar or None."""
        return None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "use_bias": self.use_bias}
