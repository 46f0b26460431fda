"""Dropout and max-pool as one operation."""

from __future__ import annotations

import typing

import keras
import tensorflow as tf

from tfcl.layers.fast.packed_draws import packed_draws

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Lowered, Shape, Tensor


_BYTE = 256


@keras.saving.register_keras_serializable(package="tfcl")
class DroppedMaxPooling2D(keras.layers.MaxPooling2D):
    """Element-wise dropout, then the largest of each window.

    A `keras.layers.Dropout` and a `keras.layers.MaxPooling2D` whose windows
    do not overlap, at a fraction of their time on a CPU: an element spends 8
    random bits where Keras spends 32, what is kept is scaled behind the pool,
    and where gradients pass is found once, for however many of them: a dropped
    element is never the largest but where the largest is 0.

    Eight bits alone would round the rate to 1/256. So every image draws
    whether it takes the multiple of 1/256 below or above: each element is
    dropped with the rate rounded to 2^-16, and what is kept is divided by the
    rounded probability, so that the mean is exact.

    Args:
        rate: Share of elements set to 0 in training, in [0, 255/256].
        pool_size: Sides of the windows, which are also their strides.
        seed: Integer or None.

    Input shape: `(batch, height, width, channels)`, float.
    Output shape: `(batch, height // pool, width // pool, channels)`; rows and
        columns that fill no window are left out.

    Raises:
        ValueError: If `rate` is out of range.

    Reference:
        Srivastava et al., "Dropout", JMLR 2014; scaled in training.
    """

    def __init__(
        self, rate: float, pool_size: int = 2, seed: int | None = None, **kwargs
    ):
        if not 0.0 <= rate <= 1.0 - 1.0 / _BYTE:
            raise ValueError(
                "Argument `rate` must lie in [0, 255/256]. "
                f"Received: rate={rate}"
            )
        super().__init__(
            pool_size=pool_size, data_format="channels_last", **kwargs
        )
        self.rate = rate
        self.seed = seed

    def build(self, input_shape: Shape) -> None:
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        dropped = round(self.rate * _BYTE**2)
        if not training or not dropped:
            return super().call(inputs)
        is_dropped = _draw(
            tf.shape(inputs), dropped, self.seed_generator.next()
        )

        @tf.custom_gradient
        def largest_kept(inputs):
            zero = tf.zeros([], inputs.dtype)
            scale = tf.cast(_BYTE**2 / (_BYTE**2 - dropped), inputs.dtype)
            kept = tf.where(is_dropped, zero, inputs)
            largest = tf.nn.max_pool2d(
                kept, self.pool_size, self.strides, "VALID"
            )
            # Where gradients pass, and how much: made here, once for all
            # gradients of this call. A largest of 0 may be a dropped element.
            passing = self._to_the_largest(
                kept, largest, tf.where(largest == 0, zero, scale)
            )
            return largest * scale, lambda g: self._spread(g, passing)

        return largest_kept(inputs)

    def _to_the_largest(self, kept, largest, upstream):
        return tf.raw_ops.MaxPoolGrad(
            orig_input=kept,
            orig_output=largest,
            grad=upstream,
            ksize=(1, *self.pool_size, 1),
            strides=(1, *self.strides, 1),
            padding="VALID",
        )

    def _spread(self, upstream, passing):
        """`upstream` times `passing`, each window by its one gradient."""
        height, width = self.pool_size
        batch, down, right, channels = tf.unstack(tf.shape(upstream))
        rows, columns = down * height, right * width
        sizes = zip(passing.shape[1:3], self.pool_size)
        filled = all(size and size % side == 0 for size, side in sizes)
        whole = passing
        if not filled:
            passing = passing[:, :rows, :columns]
        windows = [batch, down, height, right, width, channels]
        spread = tf.reshape(
            tf.reshape(passing, windows) * upstream[:, :, None, :, None, :],
            [batch, rows, columns, channels],
        )
        if filled:
            return spread
        # Zeros where no window reaches.
        _, below, beside, _ = tf.unstack(tf.shape(whole))
        rest = [[0, 0], [0, below - rows], [0, beside - columns], [0, 0]]
        return tf.pad(spread, rest)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("strides", "padding", "data_format"):
            del config[name]
        return {**config, "rate": self.rate, "seed": self.seed}

    def lower(self) -> Lowered:
        """The two plain Keras layers, which serve the same."""
        layers = [
            keras.layers.Dropout(self.rate),
            keras.layers.MaxPooling2D(self.pool_size),
        ]
        return keras.Sequential(layers, name=self.name), []


def _draw(shape, dropped, seed):
    """Which elements are dropped, each with probability dropped / 2^16."""
    seed = tf.cast(seed, tf.int32)
    elements = packed_draws(tf.reduce_prod(shape), tf.uint8, seed)
    below, rest = divmod(dropped, _BYTE)
    rounding = tf.random.stateless_uniform(
        [shape[0], 1, 1, 1],
        tf.random.experimental.stateless_fold_in(seed, 1),
        maxval=_BYTE,
        dtype=tf.int32,
    )
    limit = tf.cast(tf.where(rounding < rest, below + 1, below), tf.uint8)
    return tf.reshape(elements, shape) < limit
