"""Gradient descent, without memory or with the usual one."""

import gin
import keras


@gin.configurable
class PlainSGD(keras.optimizers.SGD):
    """`w <- w - rate g`; a gradient of rows moves these rows alone.

    With momentum `v <- momentum v - rate g`, `w <- w + v`, for all rows.
    Keras' SGD under a name that gin knows.

    Args:
        learning_rate: Positive float or a Keras schedule.
        momentum: In [0, 1].
        **kwargs: As for `keras.optimizers.Optimizer`.
    """

    def __init__(
        self, learning_rate=0.01, momentum=0.0, name="plain_sgd", **kwargs
    ):
        super().__init__(
            learning_rate=learning_rate, momentum=momentum, name=name, **kwargs
        )
