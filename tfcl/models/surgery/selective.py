"""A backbone whose convolutions are shared, a task's own, or to be chosen."""

from __future__ import annotations

import typing

import keras
from absl import logging

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


def wrapped_convolutions(model: keras.Model) -> list[keras.layers.Wrapper]:
    """Layers that hold a convolution, as SpectralNormalization does."""
    return [
        layer
        for layer in leaf_layers(model)
        if isinstance(layer, keras.layers.Wrapper)
        and isinstance(layer.layer, keras.layers.Conv2D)
    ]


def require_bare_convolutions(model: keras.Model, what: str) -> None:
    """Refuses convolutions that are wrapped, where they cannot be found.

    Args:
        model: A functional or built sequential model.
        what: What a method does with convolutions, such as "shared".

    Raises:
        ValueError: With the layer.
    """
    for layer in wrapped_convolutions(model):
        raise ValueError(
            f"Layer '{layer.name}' ({type(layer).__name__}) holds the "
            f"convolution '{layer.layer.name}', which could not be {what}. "
            "Use the convolution itself in its place."
        )


def warn_of_wrapped(model: keras.Model, what: str) -> None:
    """Says in the log which convolutions a method passes over.

    Args:
        model: As above.
        what: What these convolutions do not get.
    """
    found = wrapped_convolutions(model)
    if found:
        logging.warning(
            "Backbone '%s': convolutions inside other layers get no %s: %s.",
            model.name,
            what,
            ", ".join(f"{la.name} ({type(la).__name__})" for la in found),
        )


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
    require_bare_convolutions(backbone, "shared")
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
