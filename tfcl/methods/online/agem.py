"""A-GEM: steps that do not harm the average of the past."""

from __future__ import annotations

import typing

import gin
import tensorflow as tf

from tfcl.arguments import checked
from tfcl.methods.online.experience_replay import ExperienceReplay

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tfcl.methods.online.online_training import OnlineTraining
    from tfcl.models.online.online_network import OnlineNetwork
    from tfcl.replay.buffer import ReplayBuffer
    from tfcl.types import Tensor


@gin.configurable
class AGEM(ExperienceReplay):
    """Averaged gradient episodic memory.

    The gradient `g_r` of the mean loss of examples of the buffer is a
    constraint only: where `g . g_r < 0`, over all variables together, the
    step takes `g - (g . g_r) / (g_r . g_r) g_r`.

    Args:
        network, training, buffer, replay_size: See `ExperienceReplay`.

    Reference:
        Chaudhry et al., "Efficient Lifelong Learning with A-GEM", ICLR 2019,
        eq. 11.
    """

    @checked
    def __init__(
        self,
        network: Callable[..., OnlineNetwork] | None = None,
        training: OnlineTraining | None = None,
        buffer: ReplayBuffer | None = None,
        replay_size: int = 20,
    ):
        super().__init__(network, training, buffer, replay_size)

    def combined(
        self, gradients: Sequence[Tensor], replayed: Sequence[Tensor]
    ) -> list[Tensor]:
        return projected(gradients, replayed)


def dot(gradients: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    """Inner product over all variables together."""
    return sum(tf.reduce_sum(g * o) for g, o in zip(gradients, others))


def projected(
    gradients: Sequence[Tensor], references: Sequence[Tensor]
) -> list[Tensor]:
    """Gradients without the part that points against the references."""
    gradients = [tf.convert_to_tensor(g) for g in gradients]
    references = [tf.convert_to_tensor(g) for g in references]
    product = dot(gradients, references)
    square = dot(references, references)
    # A product below 0 has a square above it.
    share = tf.where(
        product < 0, product / tf.where(square > 0, square, 1.0), 0.0
    )
    return [g - share * r for g, r in zip(gradients, references)]
