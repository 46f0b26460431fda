"""A backbone with the head of the task in hand."""

from __future__ import annotations

import typing

import keras

from tfcl.models.surgery.fold import folded
from tfcl.models.surgery.lift import lower, require_graphs
from tfcl.models.variables import Owned, leaf_layers, owned_variables

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.layers.task_head import TaskHead
    from tfcl.types import Tensor


class TaskNetwork:
    """Backbone and head, listed as variables, callable, and exportable.

    With several replicas, batch norms of Keras' own kind take their
    statistics over all of them from here on: a replica may get no example of
    a small batch.

    Args:
        backbone: Functional `keras.Model` from images to features
            `(batch, features)`.
        head: A `TaskHead`, built on the backbone's features.
        pretrained: True if the backbone's present weights are the start values
            of every new draw, False if its initializers are.
    """

    def __init__(
        self, backbone: keras.Model, head: TaskHead, pretrained: bool = False
    ):
        shape = backbone.output_shape
        if len(shape) != 2 or shape[-1] is None:
            raise ValueError(
                "A backbone must end in features of shape (batch, features); "
                "end it with Flatten or global pooling. "
                f"Received: output shape {shape}"
            )
        require_graphs(backbone)
        self.backbone = backbone
        self.head = head
        _synchronize(backbone)
        if not head.built:
            head.build(shape)
        self.backbone_variables = owned_variables(backbone, pretrained)
        axes = head.class_axes()
        self.head_variables = [
            Owned.of(
                f"{head.name}/{name}",
                variable,
                initializer,
                class_axis=axes.get(name),
            )
            for name, variable, initializer in head.owned_variables()
        ]

    @property
    def random_state(self) -> list[keras.Variable]:
        """Seeds of the backbone's own random layers; part of a checkpoint."""
        weights = {id(v) for v in self.backbone.weights}
        return [v for v in self.backbone.variables if id(v) not in weights]

    def __call__(self, images: Tensor, training: bool = False) -> Tensor:
        return self.head(self.backbone(images, training=training))

    def embedding(self, images: Tensor) -> Tensor:
        """What images are compared by, `(batch, units)`."""
        return self.head.embedding(self.backbone(images, training=False))

    def lower(self) -> Any:
        """The active task's plain Keras model, images to logits.

        Batch norms behind convolutions are folded into them.
        """
        backbone = lower(self.backbone)
        outputs = backbone.outputs[0]
        layers = self.head.lower()
        for layer, _ in layers:
            outputs = layer(outputs)
        model = keras.Model(backbone.inputs[0], outputs)
        for layer, weights in layers:
            layer.set_weights(weights)
        return folded(model)


def _synchronize(backbone):
    """As if one device held the whole batch."""
    for layer in leaf_layers(backbone):
        if type(layer) is keras.layers.BatchNormalization:
            # A variable knows the strategy under which it was made.
            variable = layer.moving_mean.value
            strategy = getattr(variable, "distribute_strategy", None)
            if strategy is not None and strategy.num_replicas_in_sync > 1:
                layer.synchronized = True
