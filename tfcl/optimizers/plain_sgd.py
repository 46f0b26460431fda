"""Gradient descent without memory."""

import gin
import keras


@gin.configurable
class PlainSGD(keras.optimizers.SGD):
    """`w <- w - rate g`; a gradient of rows moves these rows alone.

    Keras' SGD without its options, under a name that gin knows.

    Args:
        learning_rate: Positive float or a Keras schedule.
        **kwargs: As for `keras.optimizers.Optimizer`.
    """

    def __init__(self, learning_rate=0.01, name="plain_sgd", **kwargs):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
