"""A backbone with the head of the task in hand."""

from __future__ import annotations

import functools
import typing

import keras

from tfcl.models.layer_names import layer_names, unused_name
from tfcl.models.surgery.fold import folded
from tfcl.models.surgery.lift import lower, require_graphs
from tfcl.models.variables import Owned, leaf_layers, owned_variables

if typing.TYPE_CHECKING:
    from collections.abc import Callable
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

    def lower(self, fold: bool = True, compact: bool = False) -> Any:
        """The active task's plain Keras model, images to logits.

        Args:
            fold: Whether batch norms behind convolutions become part of them.
            compact: See `tfcl.models.surgery.lift.lower`.
        """
        backbone = lower(self.backbone, compact)
        outputs = backbone.outputs[0]
        layers = self.head.lower()
        names = layer_names(backbone)
        for layer, _ in layers:
            layer.name = unused_name(layer.name, names)
            outputs = layer(outputs)
        model = keras.Model(backbone.inputs[0], outputs)
        for layer, weights in layers:
            layer.set_weights(weights)
        return folded(model) if fold else model

    def forms(self) -> dict[str, Callable[[], Any]]:
        """`{name: function}` to the forms of `lower` that may differ.

        All give the same logits but for rounding, and the first is that of
        exports. Tasks with norms of their own have their convolutions in
        common as long as norms are not folded into them; tasks with generated
        kernels have in common what these are made of.
        """
        found: dict[str, Callable[[], Any]] = {"folded": self.lower}
        layers = leaf_layers(self.backbone)
        norm = keras.layers.BatchNormalization
        if any(isinstance(layer, norm) for layer in layers):
            found["plain"] = functools.partial(self.lower, fold=False)
        if any(getattr(la, "generates_kernel", False) for la in layers):
            found["compact"] = functools.partial(
                self.lower, fold=False, compact=True
            )
        return found


def _synchronize(backbone):
    """As if one device held the whole batch."""
    for layer in leaf_layers(backbone):
        if type(layer) is keras.layers.BatchNormalization:
            # A variable knows the strategy under which it was made.
            variable = layer.moving_mean.value
            strategy = getattr(variable, "distribute_strategy", None)
            if strategy is not None and strategy.num_replicas_in_sync > 1:
                layer.synchronized = True
