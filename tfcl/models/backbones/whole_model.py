"""A backbone out of a user's whole model, a classifier perhaps."""

from __future__ import annotations

import typing

import keras
from absl import logging

from tfcl.errors import UserError
from tfcl.models.layer_names import layer_names, unused_name
from tfcl.models.surgery.rewire import maker

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape


def require_one_way(model: Any, start: str) -> None:
    """Raises UserError unless a model is a graph from one input to one output.

    Args:
        model: What should be one.
        start: What the message begins with, up to "must hold".
    """
    if len(getattr(model, "inputs", None) or ()) != 1 or (
        len(model.outputs) != 1
    ):
        raise UserError(
            f"{start} a functional or sequential model with one input and one "
            f"output. Received: {type(model).__name__}"
        )


def require_images(model: keras.Model, image_shape: Shape, shown: str) -> None:
    """Raises UserError unless a model takes such images.

    Args:
        model: With one input.
        image_shape: `(height, width, channels)`.
        shown: What the message calls the model.
    """
    wanted = tuple(model.inputs[0].shape[1:])
    if len(wanted) != 3 or any(
        w not in (None, n) for w, n in zip(wanted, image_shape)
    ):
        raise UserError(
            f"{shown} takes images of {wanted}, those of the "
            f"stream are {tuple(image_shape)}. Set the stream's image_size, "
            "or choose another model."
        )


def up_to_features(
    model: keras.Model,
    outputs: Any,
    name: str,
    shown: str,
    way_out: str,
) -> keras.Model:
    """The layers of a model up to its features, as a backbone.

    Args:
        model: With one input; the result has the same layers.
        outputs: The symbolic tensor of its features; None takes the model's
            output or, if it ends in a dense layer (a classifier, also with a
            layer of its own for the activation), what goes into that.
        name: Of the result.
        shown: What messages call the model.
        way_out: What to do about an output that is no features: a sentence.

    Returns:
        A functional `keras.Model` from images to `(batch, features)`; a map is
        averaged over height and width. All its layers are trainable.

    Raises:
        UserError: If the output is neither features nor a map.
    """
    if outputs is None:
        outputs = _before_classifier(model.outputs[0], shown)
    if len(outputs.shape) == 4:
        features = unused_name("features", layer_names(model))
        outputs = keras.layers.GlobalAveragePooling2D(name=features)(outputs)
    if len(outputs.shape) != 2:
        raise UserError(
            f"{shown} ends in {tuple(outputs.shape)}; features are "
            "(batch, features) or a map (batch, height, width, channels). "
            f"{way_out}"
        )
    backbone = keras.Model(model.inputs[0], outputs, name=name)
    _set_trainable(backbone)
    return backbone


def _set_trainable(model):
    """All layers, also of inner models: what is trained, the method says."""
    model.trainable = True
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            _set_trainable(layer)
        layer.trainable = True  # A model does not always tell its layers.


def _before_classifier(outputs, shown):
    """What goes into the dense layer at the end, if there is one."""
    activations = (keras.layers.Activation, keras.layers.Softmax)
    layer, inputs = maker(outputs)
    while isinstance(layer, activations):
        layer, inputs = maker(inputs)
    if not isinstance(layer, keras.layers.Dense):
        return outputs
    # A user may have meant that layer as features.
    logging.info(
        "%s ends in the dense layer '%s', taken for a classifier: what goes "
        "into it is the features. Behind it keras.layers.Identity() keeps it.",
        shown,
        layer.name,
    )
    return inputs
