"""A user's own model, out of a `.keras` file, as a backbone."""

from __future__ import annotations

import os
import typing

import gin
import keras
from absl import logging

from tfcl.errors import UserError
from tfcl.models import start_files
from tfcl.models.backbones.whole_model import (
    require_images,
    require_one_way,
    up_to_features,
)
from tfcl.models.model_pixels import RAW, own_preprocessing
from tfcl.models.start_weights import note_source
from tfcl.types import StartFile

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape


@gin.configurable(denylist=["image_shape"])
def keras_file(
    image_shape: Shape,
    path: StartFile = gin.REQUIRED,
    features: str | None = None,
) -> keras.Model:
    """The model of a file up to its features.

    Code inside the file (lambda layers) is not run.

    Args:
        image_shape: `(height, width, channels)` of the input.
        path: Of a `.keras` file with a functional or sequential model. Its
            images are those of the stream, standardised as the stream says.
        features: Name of the layer whose output a task's head sees. None
            takes the model's output or, if it ends in a dense layer (a
            classifier, also with a layer of its own for the activation),
            what goes into that.

    Returns:
        A functional `keras.Model`: `(batch, height, width, channels)` to
        `(batch, features)`; a map is averaged over height and width. All its
        layers are trainable, whatever the file says. Its weights are start
        values unless `TaskTraining.pretrained` is False.

    Raises:
        UserError: If the file cannot be read, holds another kind of model,
            does not take such images, or has no such layer.
    """
    model = _loaded(path)
    shown = f"The model of '{path}'"
    require_images(model, image_shape, shown)
    name = os.path.splitext(os.path.basename(path))[0]
    backbone = up_to_features(
        model,
        _features(model, path, features),
        name.replace("/", "_"),
        shown,
        "Name another layer by keras_file.features.",
    )
    note_source(backbone, f"the weights of '{path}'")
    return backbone


@gin.configurable
def keras_file_statistics(path: StartFile = gin.REQUIRED) -> Any:
    """By what a stream standardises images for the model of a file.

    A line of the log says what was found.

    Args:
        path: As of `keras_file`.

    Returns:
        `(0, 1 / 255)`, which leaves pixels from 0 to 255, for a model that
        begins with `Rescaling` or `Normalization`; else "none", pixels from 0
        to 1.

    Raises:
        UserError: If the file cannot be read.
    """
    layer = own_preprocessing(_loaded(path))
    if layer is None:
        logging.info(
            "The model of '%s' does not begin with a conversion of pixels: it "
            "gets pixels from 0 to 1. Set the stream's statistics if it was "
            "trained on others.",
            path,
        )
        return "none"
    logging.info(
        "The model of '%s' converts pixels itself (layer '%s', %s): it gets "
        "pixels from 0 to 255.",
        path,
        layer.name,
        type(layer).__name__,
    )
    return RAW


def _loaded(path):
    found = start_files.given(path)
    if not os.path.isfile(found):
        raise UserError(
            f"keras_file.path: no file '{path}'. Give a file written by "
            "model.save('name.keras')."
        )
    try:
        model = keras.models.load_model(found, compile=False, safe_mode=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"keras_file.path: '{path}' cannot be read ({reason}). Save a "
            "model of Keras' own layers by model.save('name.keras')."
        ) from error
    require_one_way(model, f"keras_file.path: '{path}' must hold")
    return model


def _features(model, path, name):
    """The output of the layer that is named, None if none is."""
    if name is None:
        return None
    names = [layer.name for layer in model.layers]
    if name not in names:
        raise UserError(
            f"keras_file.features: the model of '{path}' has no layer "
            f"'{name}'. Its last layers: {', '.join(names[-8:])}."
        )
    return model.get_layer(name).output
