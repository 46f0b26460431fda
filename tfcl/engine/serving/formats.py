"""Learned tasks as files of Keras and of LiteRT."""

from __future__ import annotations

import contextlib
import logging as stdlib_logging
import os
import pathlib
import tempfile
import typing

import keras
import numpy as np
import tensorflow as tf

from tfcl.engine.serving.export import plain_network, traced
from tfcl.errors import UserError
from tfcl.files import cannot, write_atomically
from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from collections.abc import Iterator

    from tfcl.engine.storage.bank import BankedTask
    from tfcl.methods.base import Method


SAVED_MODEL, KERAS, LITERT = "saved_model", "keras", "litert"
FORMATS = (SAVED_MODEL, KERAS, LITERT)


def pixels_to_probabilities(method: Method, entry: BankedTask) -> keras.Model:
    """A task as a Keras model of Keras' own layers.

    Args:
        method: `Method`, set up, shared variables restored.
        entry: `BankedTask`.

    Returns:
        From pixels of 0 to 255, `(n, height, width, channels)` of the size
        that the network takes, to probabilities `(n, classes)`.

    Raises:
        UserError: If the network does not take images, or has a layer that
            Keras does not know.
    """
    network = plain_network(method, entry)
    own = [
        layer
        for layer in leaf_layers(network)
        if not type(layer).__module__.startswith("keras.")
    ]
    if own:
        raise UserError(
            f"The network of task '{entry.name}' has a layer that Keras alone "
            f"cannot load: '{own[0].name}' ({type(own[0]).__name__}). Export "
            "it as a SavedModel, which holds its operations."
        )
    mean, std = (
        np.asarray(value, np.float64)
        for value in (entry.preprocessing.mean, entry.preprocessing.std)
    )
    inputs = keras.Input(entry.preprocessing.image_shape, name="pixels")
    standardise = keras.layers.Rescaling(
        (1.0 / (255.0 * std)).tolist(), (-mean / std).tolist()
    )
    logits = network(standardise(inputs))
    outputs = keras.layers.Softmax(dtype="float32", name="probabilities")(
        logits
    )
    return keras.Model(inputs, outputs, name="task")


def export_file(
    method: Method, entry: BankedTask, folder: str | pathlib.Path, form: str
) -> pathlib.Path:
    """Writes a task as `<task>.keras` or `<task>.tflite`, and its classes.

    Both take pixels of 0 to 255 in the size of the network, and give
    probabilities: Keras in batches, LiteRT one image at a time, uint8. The
    names of the classes stand in `<task>.labels.txt`, one per line.

    Args:
        method: `Method`, set up, shared variables restored.
        entry: `BankedTask`.
        folder: Folder of exports.
        form: `KERAS` or `LITERT`.

    Returns:
        Path of the file.

    Raises:
        UserError: See `pixels_to_probabilities`.
        RunError: If the disk is full or not writable.
    """
    model = pixels_to_probabilities(method, entry)
    place = pathlib.Path(folder)
    labels = "".join(f"{name}\n" for name in entry.class_names)
    try:
        place.mkdir(parents=True, exist_ok=True)
        write_atomically(place / f"{entry.name}.labels.txt", labels)
        if form == LITERT:
            path = place / f"{entry.name}.tflite"
            write_atomically(path, _for_litert(model))
        else:
            path = place / f"{entry.name}.keras"
            temporary = place / f".{entry.name}.tmp.keras"
            model.save(temporary)
            os.replace(temporary, path)
    except OSError as error:
        raise cannot(f"export '{entry.name}' to {place}", error) from error
    return path


def _for_litert(model):
    """The content of a LiteRT file of built-in operations alone."""
    module = _OneImage(model)
    with tempfile.TemporaryDirectory() as folder, _silent():
        # By way of a SavedModel: of functions alone, TensorFlow 2.21 converts
        # weights to other numbers.
        tf.saved_model.save(module, folder, {"serving_default": module.serve})
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


class _OneImage(tf.Module):
    """A network that takes uint8 images one by one, in its own size."""

    def __init__(self, model):
        super().__init__()
        self.weights = [weight.value for weight in model.weights]
        shape = (1, *model.inputs[0].shape[1:])

        def serve(pixels):
            found = model(tf.cast(pixels, tf.float32), training=False)
            return {"probabilities": found}

        self.serve = traced(serve, tf.TensorSpec(shape, tf.uint8, "pixels"))


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """The converter tells of each of its steps, as warnings."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(stdlib_logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
