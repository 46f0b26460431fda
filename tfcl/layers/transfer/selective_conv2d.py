"""A convolution that a task shares with others, or has for itself."""

from __future__ import annotations

import typing
from typing import Annotated

import keras

from tfcl.arguments import checked, one_of
from tfcl.layers.transfer.transfer_conv2d import TransferConv2D

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.layers.transfer.kernel_generator import KernelGenerator
    from tfcl.types import Shape, Tensor


SHARED = "shared"
TASK = "task"
CHOSEN = "chosen"


@keras.saving.register_keras_serializable(package="tfcl")
class SelectiveConv2D(TransferConv2D):
    """2-D convolution by a transfer mechanism, a task's own one, or a choice.

    `y = activation(conv(x, W) + b)` with `(W, b)` from the generator where
    the layer is shared and the task's own pair where it is not. With
    `sharing="chosen"` the layer holds both and the variable `selection` (1 =
    shared) says which one counts for the active task.

    Args:
        filters: Number of output channels.
        kernel_size: Integer or pair.
        generator: `KernelGenerator`; None shares kernel and bias as they are.
        sharing: "shared", "task" or "chosen".
        **kwargs: As for `keras.layers.Conv2D`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: as `keras.layers.Conv2D`.

    Raises:
        ValueError: If `sharing` is none of the three words.

    Reference:
        Lee, Behpour, Eaton, "Sharing Less is More: Lifelong Learning in Deep
        Networks with Selective Layer Transfer", ICML 2021.
    """

    @checked
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        generator: KernelGenerator | None = None,
        sharing: Annotated[str, one_of(SHARED, TASK, CHOSEN)] = SHARED,
        **kwargs,
    ):
        super().__init__(filters, kernel_size, generator, **kwargs)
        self.sharing = sharing
        self.task_kernel = self.task_bias = None
        self.selection = None

    @classmethod
    def lift(
        cls,
        conv: keras.layers.Conv2D,
        sharing: str,
        generator: KernelGenerator | None = None,
    ) -> Any:
        """The selective form of a `keras.layers.Conv2D`."""
        config = keras.layers.Conv2D.get_config(conv)
        return cls(**config, sharing=sharing, generator=generator)

    def build(self, input_shape: Shape) -> None:
        shape = self.full_kernel_shape(input_shape)
        if self.sharing in (SHARED, CHOSEN):
            self.build_generator(shape)
        if self.sharing in (TASK, CHOSEN):
            self._build_own(shape)
        if self.sharing == CHOSEN:
            self.selection = self.add_weight(
                name="selection",
                shape=(),
                initializer="ones",
                trainable=False,
                autocast=False,
            )
        self.built = True

    def _build_own(self, shape):
        self.task_kernel = self.add_weight(
            name="task_kernel",
            shape=shape,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.task_bias = self.add_weight(
                name="task_bias",
                shape=(self.filters,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    @property
    def effective_pair(self) -> tuple[Tensor, Tensor | None]:
        if self.sharing == SHARED:
            return self.generator.pair()
        own = (self.task_kernel, self.task_bias)
        if self.sharing == TASK:
            return own
        shared = keras.ops.greater(self.selection, 0.5)
        kernel, bias = self.generator.pair()
        kernel = keras.ops.where(shared, kernel, self.task_kernel)
        if self.use_bias:
            bias = keras.ops.where(shared, bias, self.task_bias)
        return kernel, bias

    @property
    def shared_variables(self) -> list[keras.Variable]:
        """Variables that serve all tasks; none without sharing."""
        return [] if self.sharing == TASK else self.generator.shared_variables

    @property
    def transfer_variables(self) -> list[keras.Variable]:
        """The task's part of the transfer mechanism."""
        return [] if self.sharing == TASK else self.generator.task_variables

    @property
    def own_variables(self) -> list[keras.Variable]:
        """The task's own kernel and bias, as far as they exist."""
        pair = (self.task_kernel, self.task_bias)
        return [v for v in pair if v is not None]

    def owned_variables(self) -> list[tuple[str, keras.Variable, Any]]:
        listed = []
        if self.sharing != TASK:
            listed += self.generator.owned_variables()
        if self.task_kernel is not None:
            named = ("task_kernel", self.task_kernel, self.kernel_initializer)
            listed.append(named)
        if self.task_bias is not None:
            listed.append(("task_bias", self.task_bias, self.bias_initializer))
        if self.selection is not None:
            ones = keras.initializers.Ones()
            listed.append(("selection", self.selection, ones))
        return listed

    def adopt(self, conv: keras.layers.Conv2D) -> None:
        """Takes over the weights of the `Conv2D` it stands for.

        A generator that has no kernel of its own keeps its start values.
        """
        weights = conv.get_weights()
        if self.sharing != TASK and hasattr(self.generator, "adopt"):
            self.generator.adopt(weights)
        for variable, value in zip(self.own_variables, weights):
            variable.assign(value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sharing": self.sharing}
