"""Fixed random kernels of which a task chooses a part."""

from __future__ import annotations

import typing
from typing import Annotated

import tensorflow as tf

from tfcl.arguments import checked, within
from tfcl.layers.fan_in_uniform import FanInUniform
from tfcl.layers.saves_all_variables import SavesAllVariables
from tfcl.layers.signed_constant import SignedConstant

if typing.TYPE_CHECKING:
    from typing import Any

    import keras

    from tfcl.types import Lowered, Shape, Tensor


_HALVINGS = 40


class Supermask(SavesAllVariables):
    """Mixin: a `Conv2D` or `Dense` computes with a part of its kernel W.

    `W_eff = W M`, where M marks the `share` of the weights whose scores S
    have the largest sizes. W is never trained; scores are, straight through:
    `dL/dS = sign(S) W dL/dW_eff`. There is no bias.

    Weights besides the kernel: `scores`, in its shape, U(-1, 1) / sqrt(fan in)
    at first.

    Args:
        share: Part of the weights that is used, in (0, 1].

    Raises:
        ValueError: If `share` is out of range.

    Reference:
        Wortsman et al., "Supermasks in Superposition", NeurIPS 2020; scores
        of Ramanujan et al., CVPR 2020 (edge-popup).
    """

    plain: type[keras.layers.Layer]
    kernel: keras.Variable

    @checked
    def __init__(
        self, *args, share: Annotated[float, within("(0, 1]")] = 0.5, **kwargs
    ):
        kwargs.update(
            use_bias=False,
            bias_initializer="zeros",
            kernel_initializer=SignedConstant(share),
        )
        super().__init__(*args, **kwargs)
        self.share = share

    @classmethod
    def lift(cls, layer: keras.layers.Layer, share: float) -> Supermask:
        """The form of a plain layer with a supermask."""
        return cls(**cls.plain.get_config(layer), share=share)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.kernel.trainable = False
        self.scores = self.add_weight(
            name="scores",
            shape=tuple(self.kernel.shape),
            initializer=FanInUniform(),
            autocast=False,
        )

    def mask(self) -> Tensor:
        """M, booleans in the kernel's shape."""
        sizes = tf.abs(tf.convert_to_tensor(self.scores))
        count = round(self.share * (sizes.shape.num_elements()))
        return sizes > threshold_of(sizes, max(count, 1))

    def effective_kernel(self) -> Tensor:
        """W_eff, differentiable by the scores."""
        kernel = tf.convert_to_tensor(self.kernel)
        scores = tf.convert_to_tensor(self.scores)
        mask = tf.cast(self.mask(), kernel.dtype)
        through = tf.cast(tf.abs(scores), kernel.dtype)
        # Value: the mask. Gradient: as if it were |S|.
        return kernel * (mask + through - tf.stop_gradient(through))

    def adopt(self, layer: keras.layers.Layer) -> None:
        """Takes over the kernel of the plain layer it stands for."""
        self.kernel.assign(layer.kernel)

    def owned_variables(self) -> list[tuple[str, keras.Variable, Any]]:
        """`(name, variable, initializer)` of each variable."""
        return [
            ("kernel", self.kernel, self.kernel_initializer),
            ("scores", self.scores, FanInUniform()),
        ]

    def lower(self) -> Lowered:
        """The plain layer that serves the active task, and its weights."""
        config = {**self.plain.get_config(self), "use_bias": False}
        kernel = self.kernel * tf.cast(self.mask(), self.kernel.dtype)
        return self.plain.from_config(config), [kernel.numpy()]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "share": self.share}


def threshold_of(sizes: Any, count: int) -> Tensor:
    """A number that `count` entries exceed; fewer do where sizes are equal.

    Found by halving, which passes over the entries some twenty times; sorting
    four million takes ten times as long.

    Args:
        sizes: Not negative, any shape.
        count: At least 1.
    """
    flat = tf.reshape(sizes, [-1])

    def halve(low, high, number, done):
        middle = 0.5 * (low + high)
        above = tf.math.count_nonzero(flat > middle, dtype=tf.int32)
        many = above > count
        low = tf.where(many, middle, low)
        high = tf.where(many, high, middle)
        return low, high, number + 1, tf.equal(above, count)

    # Below 0 lie all of them, also those of size 0.
    start = (
        tf.constant(-1e-12, flat.dtype),
        tf.reduce_max(flat),
        tf.constant(0),
        tf.greater_equal(count, tf.size(flat)),
    )
    low, high, number, _ = tf.while_loop(
        lambda low, high, number, done: ~done & (number < _HALVINGS),
        halve,
        start,
        parallel_iterations=1,
    )
    return tf.where(tf.greater_equal(count, tf.size(flat)), low, high)
