"""A trunk with the head of the task in hand."""

import keras

from tfcl.models.surgery.fold import folded
from tfcl.models.surgery.lift import lower
from tfcl.models.variables import Owned, leaf_layers, owned_variables


class TaskNetwork:
    """Trunk and head, listed as variables, callable, and exportable.

    With several replicas, batch norms of Keras' own kind take their
    statistics over all of them from here on: a replica may get no example of
    a small batch.

    Args:
        trunk: Functional `keras.Model` from pictures to features
            `(batch, features)`.
        head: A `TaskHead`, built on the trunk's features.
        pretrained: True if the trunk's present weights are the start values
            of every new draw, False if its initializers are.
    """

    def __init__(self, trunk, head, pretrained=False):
        shape = trunk.output_shape
        if len(shape) != 2 or shape[-1] is None:
            raise ValueError(
                "A backbone must end in features of shape (batch, features); "
                "end it with Flatten or global pooling. "
                f"Received: output shape {shape}"
            )
        self.trunk = trunk
        self.head = head
        _synchronize(trunk)
        if not head.built:
            head.build(shape)
        self.trunk_variables = owned_variables(trunk, pretrained)
        self.head_variables = [
            Owned.of(f"{head.name}/{name}", variable, initializer)
            for name, variable, initializer in head.owned_variables()
        ]

    @property
    def random_state(self):
        """Seeds of the trunk's own random layers; part of a checkpoint."""
        weights = {id(v) for v in self.trunk.weights}
        return [v for v in self.trunk.variables if id(v) not in weights]

    def __call__(self, images, training=False):
        return self.head(self.trunk(images, training=training))

    def embedding(self, images):
        """What pictures are compared by, `(batch, units)`."""
        return self.head.embedding(self.trunk(images, training=False))

    def lower(self):
        """The active task's plain Keras model, pictures to logits.

        Batch norms behind convolutions are folded into them.
        """
        trunk = lower(self.trunk)
        outputs = trunk.outputs[0]
        layers = self.head.lower()
        for layer, _ in layers:
            outputs = layer(outputs)
        model = keras.Model(trunk.inputs[0], outputs)
        for layer, weights in layers:
            layer.set_weights(weights)
        return folded(model)


def _synchronize(trunk):
    """As if one device held the whole batch."""
    for layer in leaf_layers(trunk):
        if type(layer) is keras.layers.BatchNormalization:
            # A variable knows the strategy under which it was made.
            variable = layer.moving_mean.value
            strategy = getattr(variable, "distribute_strategy", None)
            if strategy is not None and strategy.num_replicas_in_sync > 1:
                layer.synchronized = True
