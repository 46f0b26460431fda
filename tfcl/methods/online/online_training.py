"""How online methods train: loss, optimizer, decay, measurements."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Annotated

import gin
import tensorflow as tf

from tfcl.arguments import PositiveInt, checked, one_of
from tfcl.methods.base import cross_entropy
from tfcl.methods.training_options import TrainingOptions
from tfcl.optimizers.adam_torch import AdamTorch
from tfcl.optimizers.given_optimizer import OptimizerLike
from tfcl.optimizers.schedules import ScheduleLike

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Tensor


SPLITS = ("train", "validation", "test")
XENT, HINGE = "xent", "hinge"


def mean_cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    """Softmax cross-entropy, mean over the batch."""
    return tf.reduce_mean(cross_entropy(labels, logits))


def hinge(labels: Tensor, logits: Tensor) -> Tensor:
    """Sum over classes and batch of max(0, -s o); s = 1 for the label's
    class and -1 for all others. Without a margin, as published."""
    return tf.reduce_sum(_hinges(labels, logits))


def _hinges(labels, logits):
    signs = 2.0 * tf.one_hot(labels, logits.shape[-1], dtype=logits.dtype) - 1.0
    return tf.reduce_sum(tf.nn.relu(-signs * logits), axis=-1)


@gin.configurable
class OnlineTraining(TrainingOptions):
    """How online methods train: loss, optimizer, what is measured when.

    Args:
        optimizer: Function without arguments to a Keras optimizer, a name of
            Keras such as "adam", or a `keras.optimizers.Optimizer`; see
            `TrainingOptions`.
        schedule: Learning-rate schedule, or a number; its clock stands still
            in a stream. None takes the rate that the optimizer is made with,
            constant: 0.001 for the default one.
        loss: "xent", softmax cross-entropy, or "hinge" without a margin.
        weight_decay: lambda of `g + lambda W` for every trained variable.
        lazy: Rows of a memory that no example of the batch has touched feel
            no decay. (An optimizer may be lazy by itself: `LazyAdam`.)
        measured: Splits whose distributions are measured one by one at each
            boundary: some of "train", "validation" and "test".
        measure_every: Distributions between measurements; the last one is
            followed by one in any case.
        jit_compile: Compile the stream's loop by XLA.
    """

    @checked
    def __init__(
        self,
        optimizer: OptimizerLike = AdamTorch,
        schedule: ScheduleLike | None = None,
        loss: Annotated[str, one_of(XENT, HINGE)] = XENT,
        weight_decay: float = 0.0,
        lazy: bool = False,
        measured: Sequence[Annotated[str, one_of(*SPLITS)]] = SPLITS,
        measure_every: PositiveInt = 1,
        jit_compile: bool = True,
    ):
        super().__init__(optimizer, schedule, weight_decay)
        self.loss = mean_cross_entropy if loss == XENT else hinge
        self.loss_per_example = cross_entropy if loss == XENT else _hinges
        self.takes_mean = loss == XENT
        self.lazy = lazy
        self.measured = tuple(measured)
        self.measure_every = measure_every
        self.jit_compile = jit_compile

    def weighted_loss(
        self, labels: Tensor, logits: Tensor, weights: Any
    ) -> Tensor:
        """`loss` of the examples of weight 1, by the same reduction as over
        a batch; 0 without any."""
        losses = self.loss_per_example(labels, logits)
        weights = tf.cast(weights, losses.dtype)
        total = tf.reduce_sum(weights * losses)
        if not self.takes_mean:
            return total
        return total / tf.maximum(tf.reduce_sum(weights), 1.0)

    def decayed(
        self, gradients: Sequence[Tensor], variables: Sequence[Any]
    ) -> Any:
        """Gradients with the weight decay of the variables' present values,
        to which a memory's own update counts."""
        if not self.weight_decay:
            return gradients
        values = map(tf.convert_to_tensor, variables)
        return [self._decayed(g, v) for g, v in zip(gradients, values)]

    def _decayed(self, gradient, value):
        if not (self.lazy and isinstance(gradient, tf.IndexedSlices)):
            return self.with_decay(gradient, value)
        # A row that is named twice would decay twice.
        same = gradient.indices[:, None] == gradient.indices
        share = 1.0 / tf.reduce_sum(tf.cast(same, value.dtype), axis=-1)
        rows = tf.gather(value, gradient.indices)
        decay = self.weight_decay * share[:, None] * rows
        return tf.IndexedSlices(
            gradient.values + decay, gradient.indices, gradient.dense_shape
        )
