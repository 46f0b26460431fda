"""A penalty on the norms of weights, tensor by tensor."""

from __future__ import annotations

import typing
from typing import Annotated

import gin
import tensorflow as tf

from tfcl.arguments import NonNegativeFloat, checked, one_of

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.layers.task_head import TaskHead
    from tfcl.models.variables import Owned
    from tfcl.types import Tensor


L1, L2, SQUARED = "l1", "l2", "squared"


@gin.configurable
class TensorNorms:
    """`weight` times the sum over tensors of their norms.

    Args:
        weight: lambda of the paper, not negative.
        kind: "l2" takes `sqrt(sum w^2)` of each tensor, not squared, as the
            published program of CLR does: each tensor is pulled to 0 with the
            same strength whatever its size. A tensor of zeros adds nothing
            and has gradient 0. "l1" takes `sum |w|`, "squared" `sum w^2`.

    Reference:
        The program of Ge et al., "CLR: Channel-wise Lightweight
        Reprogramming for Continual Learning", ICCV 2023.
    """

    @checked
    def __init__(
        self,
        weight: NonNegativeFloat = 1e-5,
        kind: Annotated[str, one_of(L1, L2, SQUARED)] = L2,
    ):
        self.weight = weight
        self.kind = kind

    def __call__(self, tensors: Sequence[Tensor]) -> Tensor:
        """The penalty of a list of tensors, a scalar."""
        norm = {L1: _absolute, L2: _norm, SQUARED: _squares}[self.kind]
        return self.weight * sum(norm(tensor) for tensor in tensors)


def _absolute(tensor):
    return tf.reduce_sum(tf.abs(tensor))


def _squares(tensor):
    return tf.reduce_sum(tf.square(tensor))


def _norm(tensor):
    squares = _squares(tensor)
    positive = squares > 0
    # Both branches have a gradient; that of the root at 0 would be infinite.
    safe = tf.where(positive, squares, tf.ones_like(squares))
    return tf.where(positive, tf.sqrt(safe), tf.zeros_like(squares))


def trained_weights(
    owned: Sequence[Owned], head: TaskHead, used: Any | None = None
) -> list[Tensor]:
    """The tensors that a task trains, as a penalty counts them.

    Args:
        owned: `Owned` variables.
        head: `TaskHead`; listed or not, its weights count.
        used: Columns of the head that count, see `TaskHead.used_weights`:
            None for those of the task in hand.
    """
    start = f"{head.name}/"
    own = [
        item.variable.value
        for item in owned
        if item.variable.trainable and not item.name.startswith(start)
    ]
    return own + head.used_weights(used)
