"""A backbone whose convolutions are shared, a task's own, or to be chosen."""

from __future__ import annotations

import typing

import keras

from tfcl.layers.transfer.selective_conv2d import TASK, SelectiveConv2D
from tfcl.models.surgery.lift import lift
from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from typing import Any


def convolutions(model: keras.Model) -> list[str]:
    """Names of a model's convolutions, input to output."""
    return [
        layer.name
        for layer in leaf_layers(model)
        if isinstance(layer, keras.layers.Conv2D)
    ]


def selective_backbone(
    backbone: keras.Model, transfer: Any, sharing: Any
) -> keras.Model:
    """A backbone whose convolutions are shared, a task's own, or to be chosen.

    Args:
        backbone: Functional or sequential model.
        transfer: Mechanism of `tfcl.methods.lasem.transfers`.
        sharing: Function from a convolution's number, input to output, to
            "shared", "task" or "chosen".

    Raises:
        ValueError: If a convolution is wrapped in another layer, where it
            can be neither found nor shared.
    """
    for layer in leaf_layers(backbone):
        held = getattr(layer, "layer", None)
        if isinstance(layer, keras.layers.Wrapper) and isinstance(
            held, keras.layers.Conv2D
        ):
            raise ValueError(
                f"Layer '{layer.name}' ({type(layer).__name__}) holds the "
                f"convolution '{held.name}', which could not be shared. Use "
                "the convolution itself in its place."
            )
    convs = convolutions(backbone)

    def selective(conv):
        depth = convs.index(conv.name)
        if sharing(depth) == TASK:
            return SelectiveConv2D.lift(conv, TASK)
        generator = transfer.generator(depth, conv)
        return SelectiveConv2D.lift(conv, sharing(depth), generator)

    return lift(backbone, {keras.layers.Conv2D: selective})


def selective_layers(model: keras.Model) -> list[SelectiveConv2D]:
    """The `SelectiveConv2D`s of a model, input to output."""
    return [
        layer
        for layer in leaf_layers(model)
        if isinstance(layer, SelectiveConv2D)
    ]
