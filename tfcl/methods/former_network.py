"""The network as it was before a task: what it answered is kept by distilling.

It is one more network of the same make, whose values are replaced when a task
begins: nothing is traced again.
"""

from __future__ import annotations

import typing

import tensorflow as tf

if typing.TYPE_CHECKING:
    import keras

    from tfcl.models.network import TaskNetwork
    from tfcl.types import Tensor


class FormerNetwork:
    """A frozen copy of a network.

    Args:
        network: A `TaskNetwork` of the same make; it becomes the copy.

    Attributes:
        network: As given.
    """

    def __init__(self, network: TaskNetwork):
        self.network = network
        # So that no gradient is recorded for it.
        network.backbone.trainable = False
        network.head.trainable = False

    @property
    def variables(self) -> list[keras.Variable]:
        """Those of backbone and head, for `Method.task_state`."""
        return _weights(self.network)

    def remember(self, network: TaskNetwork) -> None:
        """Takes the values that a network has now."""
        for old, new in zip(self.variables, _weights(network)):
            old.assign(new)

    def outputs(self, images: Tensor) -> Tensor:
        """All columns of its output layer, `(b, num_outputs)`."""
        features = self.network.backbone(images, training=False)
        return self.network.head.outputs(features)


def distillation(before: Tensor, now: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of softened answers, `(b,)`.

    Args:
        before: Logits to be kept, `(b, classes)`.
        now: Logits of the network in training, `(b, classes)`.
        temperature: T; probabilities to the power of 1 / T, normalised, are
            the softmax of the logits divided by T.

    Reference:
        Li and Hoiem, "Learning without Forgetting", ECCV 2016, eq. 2 and 3.
    """
    return tf.nn.softmax_cross_entropy_with_logits(
        tf.nn.softmax(before / temperature), now / temperature
    )


def _weights(network):
    """Backbone and head without its columns."""
    owned = [*network.backbone_variables, *network.head_variables[:-1]]
    return [each.variable for each in owned]
