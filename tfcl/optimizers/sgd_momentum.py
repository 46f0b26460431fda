"""Momentum with the rate outside the velocity."""

from __future__ import annotations

import gin

from tfcl.optimizers.sgd_nesterov import SGDNesterov


@gin.configurable
class SGDMomentum(SGDNesterov):
    """SGD with momentum as PyTorch computes it.

    `buf <- momentum buf + g`, `w <- w - rate buf`, and the buffer starts at
    zero. `PlainSGD` keeps the rate inside the velocity: the same while the
    rate is constant, other steps after each decay.

    Args:
        learning_rate: Positive float or a Keras schedule.
        momentum: In [0, 1).
        **kwargs: As for `keras.optimizers.Optimizer`.

    Raises:
        ValueError: If `momentum` is out of range.

    Reference:
        `torch.optim.SGD(momentum=...)`, dampening 0.
    """

    nesterov = False

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.9,
        name: str = "sgd_momentum",
        **kwargs,
    ):
        super().__init__(learning_rate, momentum, name=name, **kwargs)
