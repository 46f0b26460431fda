"""Angular softmax (A-Softmax) for face verification, layer and loss."""

from __future__ import annotations

import typing

import keras

from tfcl.arguments import PositiveInt, checked

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


# The published program divides by this, not by pi.
_PI = 3.14159265


@keras.saving.register_keras_serializable(package="tfcl")
class AngularSoftmax(keras.layers.Layer):
    """Logits by the angle to each class, plain and with an angular margin.

    With unit columns u of the kernel and `c = clip(x u / |x|, -1, 1)`, an
    angle theta, margin m: `k = floor(m theta / pi)` and
    `psi = (-1)^k cos(m theta) - 2 k`; for m = 4, `cos(4 theta)` is
    `8 c^4 - 8 c^2 + 1`. Adds `features * classes` weights.

    Args:
        classes: Number of classes.
        margin: m, integer of at least 1.
        kernel_initializer: Defaults to N(0, 0.01^2).

    Input shape: `(batch, features)`.
    Output shape: `(batch, 2, classes)`, float32 (float64 under that policy):
        `[:, 0]` is `|x| c`, the logits to predict with, `[:, 1]` is
        `|x| psi`. Both go into `angular_softmax_loss`.

    Note:
        k is a constant for gradients; c, |x| and the norm of a column are
        not.

    Raises:
        ValueError: If `classes` or `margin` is below 1.

    Reference:
        Liu et al., "SphereFace: Deep Hypersphere Embedding for Face
        Recognition", CVPR 2017, eq. 7.
    """

    @checked
    def __init__(
        self,
        classes: PositiveInt,
        margin: PositiveInt = 4,
        kernel_initializer: Any | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if kernel_initializer is None:
            kernel_initializer = keras.initializers.RandomNormal(stddev=0.01)
        self.classes = classes
        self.margin = margin
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape) -> None:
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], self.classes),
            initializer=self.kernel_initializer,
            autocast=False,
        )
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        # Angles near 0 need the digits, also in mixed precision.
        inputs = keras.ops.cast(inputs, self.kernel.dtype)
        lengths = _length(inputs, axis=-1)
        kernel = keras.ops.convert_to_tensor(self.kernel)
        columns = kernel / _length(kernel, axis=0)
        cosine = keras.ops.matmul(inputs, columns) / lengths
        cosine = keras.ops.clip(cosine, -1.0, 1.0)
        # The derivative of the arc cosine is infinite at both ends.
        angle = keras.ops.arccos(keras.ops.stop_gradient(cosine))
        sector = keras.ops.floor(self.margin * angle / _PI)
        sign = 1.0 - 2.0 * keras.ops.mod(sector, 2.0)
        psi = sign * _cosine_of_multiple(cosine, self.margin) - 2.0 * sector
        return keras.ops.stack([cosine * lengths, psi * lengths], axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], 2, self.classes)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.variable_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "classes": self.classes,
            "margin": self.margin,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
        }


def angular_softmax_loss(labels: Tensor, outputs: Any, weight: Any) -> Tensor:
    """Cross-entropy whose true logit has part of the margin.

    The logit of the true class is `cos + (psi - cos) / (1 + weight)`, both
    times |x|.

    Args:
        labels: Integers `(batch,)`.
        outputs: What an `AngularSoftmax` gives, `(batch, 2, classes)`.
        weight: lambda of the plain logit, see `plain_weight`.

    Returns:
        Loss per example, `(batch,)`.

    Reference:
        Liu et al., CVPR 2017, sec. 3.3 and appendix G; focusing exponent 0.
    """
    cosine, psi = outputs[:, 0], outputs[:, 1]
    true = keras.ops.one_hot(labels, cosine.shape[-1], dtype=cosine.dtype)
    weight = keras.ops.cast(weight, cosine.dtype)
    logits = cosine + true * (psi - cosine) / (1.0 + weight)
    return -keras.ops.sum(true * keras.ops.log_softmax(logits), axis=-1)


def plain_weight(
    step: Tensor, start: float = 1500.0, decay: float = 0.1, least: float = 5.0
) -> Tensor:
    """lambda of a step: `max(least, start / (1 + decay step))`, float64.

    Args:
        step: Steps trained with this loss, this one included, from 1.
    """
    step = keras.ops.cast(step, "float64")
    return keras.ops.maximum(least, start / (1.0 + decay * step))


def _length(vectors, axis):
    """Euclidean length along an axis, which stays; never zero."""
    squares = keras.ops.sum(vectors * vectors, axis=axis, keepdims=True)
    # The gradient of a root is infinite at zero.
    return keras.ops.sqrt(keras.ops.maximum(squares, 1e-30))


def _cosine_of_multiple(cosine, multiple):
    """cos(multiple theta) from cos(theta): a Chebyshev polynomial."""
    before, value = keras.ops.ones_like(cosine), cosine
    for _ in range(multiple - 1):
        before, value = value, 2.0 * cosine * value - before
    return value
