"""Elastic weight consolidation: important weights are held by springs."""

from __future__ import annotations

import typing
from typing import Annotated

import gin
import tensorflow as tf

from tfcl.arguments import (
    NonNegativeFloat,
    PositiveInt,
    checked,
    one_of,
    within,
)
from tfcl.methods.base import cross_entropy, values_of
from tfcl.methods.regularization.measured_importance import MeasuredImportance

if typing.TYPE_CHECKING:
    from typing import Any

    import keras

    from tfcl.methods.base import Batch
    from tfcl.methods.task_training import TaskTraining
    from tfcl.types import Tensor


MODEL = "model"
DATA = "data"


@gin.configurable
class EWC(MeasuredImportance):
    """A network whose weights are held where old tasks need them.

    The loss of every task after the first is
    `CE + strength / 2 * sum_i F_i (w_i - w*_i)^2` over the weights that tasks
    share: the backbone's, and those of a head that is for all tasks. `w*` are
    the weights after the last task, `F` the diagonal of the Fisher information,
    summed over the earlier tasks.

    Args:
        training: `TaskTraining`.
        strength: lambda of the paper.
        fisher_labels: "model" draws the label of each example from the
            network's own probabilities, as the Fisher information is
            defined; "data" takes the true one (empirical Fisher).
        fisher_examples: Training examples that estimate F; None takes all.
        fisher_decay: Factor of the old F when a task is added; 1 is the
            plain sum, less lets old tasks fade (online EWC).
        heads: As of `SharedBackboneMethod`.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Reference:
        Kirkpatrick et al., "Overcoming catastrophic forgetting in neural
        networks", PNAS 2017, eq. 3; one spring at the newest weights after
        Huszar, PNAS 2018; the decay after Schwarz et al., ICML 2018.
    """

    importance_name = "fisher"
    springs_share = 0.5

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        strength: NonNegativeFloat = 1e3,
        fisher_labels: Annotated[str, one_of(MODEL, DATA)] = MODEL,
        fisher_examples: PositiveInt | None = None,
        fisher_decay: Annotated[float, within("[0, 1]")] = 1.0,
        heads: str | None = None,
        **options: Any,
    ):
        held = (strength, fisher_examples, fisher_decay)
        super().__init__(training, *held, heads, **options)
        self.fisher_labels = fisher_labels

    @property
    def fisher(self) -> list[keras.Variable]:
        """F, a variable in the shape of each weight that is held."""
        return self.springs.importance

    def importance_of(self, batch: Batch) -> list[Tensor]:
        """(d log p(y|x) / dw)^2 of this replica's one example."""
        held = values_of(self.springs.weights)
        with tf.GradientTape() as tape:
            logits = self._network(batch.images)
            labels = batch.labels
            if self.fisher_labels == MODEL:
                labels = _drawn(tf.stop_gradient(logits), batch.seed)
            loss = tf.reduce_sum(cross_entropy(labels, logits))
        return [tf.square(g) for g in tape.gradient(loss, held)]


def _drawn(logits, seed):
    """A label per row, drawn by its softmax."""
    shape = tf.shape(logits)
    uniform = tf.random.stateless_uniform(shape, seed, minval=1e-30)
    gumbel = -tf.math.log(-tf.math.log(uniform))
    return tf.argmax(logits + gumbel, axis=-1, output_type=tf.int32)
