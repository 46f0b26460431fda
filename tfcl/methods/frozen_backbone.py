"""New heads on a trunk that never changes again."""

import tensorflow as tf

import gin
from tfcl.methods.base import (
    Update,
    cross_entropy,
    mean_accuracy,
    trainable,
    values_of,
)
from tfcl.methods.network_method import NetworkMethod


@gin.configurable
class FrozenBackbone(NetworkMethod):
    """A trunk trained on the first task (or pretrained), then frozen.

    Every task trains its own head. The reference for methods that adapt the
    trunk; forgetting is zero.

    Args:
        training: `TaskTraining`; with `pretrained=True` the trunk is frozen
            from the start.
    """

    def __init__(self, training=gin.REQUIRED):
        super().__init__(training)

    def divide(self, network):
        self.shared = network.trunk_variables
        self.slot = network.head_variables

    def phases(self, task):
        phase = self.training.phase()
        if task.index > 0 or self.training.pretrained:
            phase.steps = (self.head_step,)
        yield phase

    def head_step(self, batch):
        """Like `train_step`, but only the head learns."""
        features = self._network.trunk(batch.images, training=False)
        mask = batch.dropout_mask(self.training.dropout, features.shape[-1])
        variables = values_of(trainable(self.slot))
        with tf.GradientTape() as tape:
            logits = self.head(features, mask)
            losses = cross_entropy(batch.labels, logits)
            loss = tf.reduce_sum(losses) / tf.cast(batch.size, tf.float32)
        gradients = tape.gradient(loss, variables)
        return Update(
            loss=loss,
            metrics={"accuracy": mean_accuracy(batch, logits)},
            gradients=[("main", gradients, variables)],
        )
