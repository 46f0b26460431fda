"""Ensemble: several networks that are trained as one."""

from __future__ import annotations

import functools
import typing

import gin

from tfcl.arguments import PositiveInt, checked
from tfcl.methods.online.online import OnlineLearning, required_network
from tfcl.models.online.online_networks import ensemble_network

if typing.TYPE_CHECKING:
    from collections.abc import Callable

    from tfcl.methods.online.online_training import OnlineTraining
    from tfcl.models.online.online_network import OnlineNetwork


@gin.configurable
class Ensemble(OnlineLearning):
    """Copies of a network, drawn one by one; one loss on their mean logits.

    Args:
        network: See `OnlineLearning`; of one copy.
        training: See `OnlineLearning`.
        models: Number of copies.
    """

    @checked
    def __init__(
        self,
        network: Callable[..., OnlineNetwork] | None = None,
        training: OnlineTraining | None = None,
        models: PositiveInt = 8,
    ):
        one = required_network(network, type(self))
        copies = functools.partial(ensemble_network, network=one, models=models)
        super().__init__(copies, training)
