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
from tfcl.methods.base import cross_entropy, trainable, values_of
from tfcl.methods.network_method import added
from tfcl.methods.regularization.drawn_examples import drawn_examples
from tfcl.methods.regularization.quadratic_penalty import QuadraticPenalty
from tfcl.methods.shared_backbone import SharedBackboneMethod
from tfcl.methods.work import Accumulate

if typing.TYPE_CHECKING:
    from typing import Any

    import keras

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.work import Phases
    from tfcl.types import Tensor


MODEL = "model"
DATA = "data"


@gin.configurable
class EWC(SharedBackboneMethod):
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
        super().__init__(training, heads, **options)
        self.strength = strength
        self.fisher_labels = fisher_labels
        self.fisher_examples = fisher_examples
        self.fisher_decay = fisher_decay

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        self.springs = QuadraticPenalty(trainable(self.shared), "fisher")
        self.fisher = self.springs.importance
        self._sums = self.springs.zeros("fisher_sums")
        self.state += [*self.springs.state, *self._sums]

    @property
    def widening(self) -> list[keras.Variable]:
        wide = super().widening
        return [*wide, *self.springs.widening(wide, self._sums)]

    def phases(self, task: Task) -> Phases:
        yield self.training.phase()
        yield Accumulate(
            "fisher",
            self.squared_gradients,
            self._sums,
            data=drawn_examples(
                task.train,
                self.fisher_examples,
                *(self.seed, "fisher", task.index),
            ),
            one_by_one=True,
        )

    def squared_gradients(self, batch: Batch) -> Any:
        """(d log p(y|x) / dw)^2 of this replica's one example."""
        held = values_of(self.springs.weights)
        with tf.GradientTape() as tape:
            logits = self._network(batch.images)
            labels = batch.labels
            if self.fisher_labels == MODEL:
                labels = _drawn(tf.stop_gradient(logits), batch.seed)
            loss = tf.reduce_sum(cross_entropy(labels, logits))
        return [tf.square(g) for g in tape.gradient(loss, held)]

    def penalty(self) -> Tensor | None:
        held = 0.5 * self.strength * self.springs()
        return added([super().penalty(), held])

    def end_task(self, task: Task) -> None:
        count = len(task.train)
        examples = min(self.fisher_examples or count, count)
        for fisher, sums in zip(self.fisher, self._sums):
            fisher.assign(self.fisher_decay * fisher + sums / examples)
        self.springs.move_anchor()

    def bank_notes(self) -> dict[str, Any]:
        return {"mean_fisher": self.springs.means()}


def _drawn(logits, seed):
    """A label per row, drawn by its softmax."""
    shape = tf.shape(logits)
    uniform = tf.random.stateless_uniform(shape, seed, minval=1e-30)
    gumbel = -tf.math.log(-tf.math.log(uniform))
    return tf.argmax(logits + gumbel, axis=-1, output_type=tf.int32)
