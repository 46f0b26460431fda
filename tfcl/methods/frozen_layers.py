"""Refuses layers that would change although they are frozen."""

from __future__ import annotations

import typing

import keras
import tensorflow as tf

from tfcl.arguments import require
from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from collections.abc import Iterable

    from tfcl.types import Shape


def require_still(
    backbone: keras.Model,
    image_shape: Shape,
    kept: Iterable[keras.Variable],
    training: bool,
    method: str,
) -> None:
    """Refuses a backbone whose layers assign what must not change.

    Some layers change variables of their own whenever they are called in
    training, whatever the optimizer does: spectral normalisation, running
    statistics, averages, counters. Nothing of that kind may be in `kept`, or
    the logits of finished tasks would move. In inference no variable may
    change at all, seeds included.

    Runs the backbone on black images; nothing is assigned.

    Args:
        backbone: The method's, built.
        image_shape: `(height, width, channels)`.
        kept: Variables that finished tasks rely on.
        training: Whether steps of later tasks call it in training mode.
        method: Name of the method.

    Raises:
        ValueError: With the layers and their variables.
    """
    frozen = {id(variable) for variable in kept}
    moved = _assigned(backbone, image_shape, False)
    if training and frozen:
        moved += [
            v for v in _assigned(backbone, image_shape, True) if id(v) in frozen
        ]
    require(
        not moved,
        "TaskTraining.backbone",
        f"must have no layers that change what {method} keeps for finished "
        "tasks: these assign variables of their own when they are called. "
        "Take the layers out, or put plain ones with the same weights in "
        "their place",
        _named(backbone, moved),
    )


def _assigned(backbone, image_shape, training):
    """The variables that a call assigns."""
    images = tf.zeros((2, *image_shape), backbone.inputs[0].dtype)
    with keras.StatelessScope() as scope:
        backbone(images, training=training)
        return [
            variable
            for variable in backbone.variables
            if scope.get_current_value(variable) is not None
        ]


def _named(backbone, variables):
    """`["layer (Type): variable, ..."]`."""
    moved, found = {id(v) for v in variables}, []
    for layer in leaf_layers(backbone):
        own = [v.name for v in layer.variables if id(v) in moved]
        if own:
            kind = type(layer).__name__
            found.append(f"{layer.name} ({kind}): {', '.join(own)}")
    return found
