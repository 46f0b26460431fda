"""A frozen convolution with a 1 x 1 convolution of the task beside it."""

from __future__ import annotations

import typing

import keras

from tfcl.layers.fan_in_uniform import FanInUniform
from tfcl.layers.pair_conv2d import PairConv2D

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Lowered, Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class ParallelConv2D(PairConv2D):
    """2-D convolution `activation(W * x + U * x + b)`; only U is trained.

    U is 1 x 1, has the stride of W and no bias, and looks at the pixel under
    the middle of W. So both are one convolution, whose kernel is W with U
    added to its middle.

    Args:
        filters, kernel_size: As for `keras.layers.Conv2D`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: as `keras.layers.Conv2D`.

    Reference:
        The program of Ge et al., "CLR", ICCV 2023 (its methods `li18` and
        `li50`).
    """

    generates_kernel = True
    """See `tfcl.models.surgery.lift.lower`."""

    @classmethod
    def lift(cls, layer: keras.layers.Layer) -> ParallelConv2D:
        """The form of a plain `Conv2D` with a parallel one."""
        return cls(**keras.layers.Conv2D.get_config(layer))

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        for variable in self._frozen():
            variable.trainable = False
        self.parallel = self.add_weight(
            name="parallel",
            shape=(1, 1, *self.kernel.shape[2:]),
            initializer=FanInUniform(),
        )

    def call(self, inputs: Tensor) -> Tensor:
        return self.apply_pair(inputs, self.effective_kernel(), self.bias)

    def effective_kernel(self) -> Tensor:
        """W with U in its middle, in W's shape."""
        before = [(side - 1) // 2 for side in self.kernel_size]
        after = [s - 1 - b for s, b in zip(self.kernel_size, before)]
        pads = [*zip(before, after), (0, 0), (0, 0)]
        kernel, own = map(
            keras.ops.convert_to_tensor, (self.kernel, self.parallel)
        )
        return kernel + keras.ops.pad(own, pads)

    def adopt(self, layer: keras.layers.Layer) -> None:
        """Takes over the weights of the plain layer it stands for."""
        for mine, other in zip(self._frozen(), layer.weights):
            mine.assign(other)

    def _frozen(self):
        return [v for v in (self.kernel, self.bias) if v is not None]

    def owned_variables(self) -> list[tuple[str, keras.Variable, Any]]:
        """`(name, variable, initializer)` of each variable."""
        initializers = (self.kernel_initializer, self.bias_initializer)
        listed = [
            (v.name, v, start) for v, start in zip(self._frozen(), initializers)
        ]
        return [*listed, ("parallel", self.parallel, FanInUniform())]

    def lower(self) -> Lowered:
        """The plain `Conv2D` of the active task, and its weights."""
        config = keras.layers.Conv2D.get_config(self)
        _, *bias = [v.numpy() for v in self._frozen()]
        kernel = keras.ops.convert_to_numpy(self.effective_kernel())
        return keras.layers.Conv2D.from_config(config), [kernel, *bias]
