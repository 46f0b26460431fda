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
from absl import logging

from tfcl.engine.serving.export import plain_network, traced
from tfcl.engine.serving.export_options import LITERT, NONE
from tfcl.engine.serving.quantization import change, set_up
from tfcl.errors import UserError
from tfcl.files import cannot, write_atomically
from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from collections.abc import Iterator

    from tfcl.engine.serving.export_options import ExportOptions
    from tfcl.engine.serving.quantization import Measured
    from tfcl.engine.storage.bank import BankedTask
    from tfcl.methods.base import Method


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
    method: Method,
    entry: BankedTask,
    folder: str | pathlib.Path,
    options: ExportOptions,
    measured: Measured | None = None,
) -> pathlib.Path:
    """Writes a task as `<task>.keras` or `<task>.tflite`, and its classes.

    Both take pixels of 0 to 255 in the size of the network, and give
    probabilities: Keras in batches, LiteRT one image at a time, uint8. The
    names of the classes stand in `<task>.labels.txt`, one per line. A
    quantised file is called `<task>.int8.tflite` and the like; what it changes
    is told in the log.

    Args:
        method: `Method`, set up, shared variables restored.
        entry: `BankedTask`.
        folder: Folder of exports.
        options: `ExportOptions` of `KERAS` or `LITERT`.
        measured: Test images by which a quantised file is measured; random
            ones without.

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
        if options.form == LITERT:
            return _write_litert(model, entry, place, options, measured)
        path = place / f"{entry.name}.keras"
        temporary = place / f".{entry.name}.tmp.keras"
        model.save(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise cannot(f"export '{entry.name}' to {place}", error) from error
    return path


def _write_litert(model, entry, place, options, measured):
    content = _for_litert(model)
    if options.quantize == NONE:
        path = place / f"{entry.name}.tflite"
        write_atomically(path, content)
        return path
    quantized = _for_litert(model, options.quantize)
    path = place / f"{entry.name}.{options.quantize}.tflite"
    write_atomically(path, quantized)
    found = change(model, content, quantized, measured)
    logging.info("'%s' as %s: %s.", entry.name, options.quantize, found)
    return path


def _for_litert(model, quantize=NONE):
    """The content of a LiteRT file of built-in operations alone."""
    module = _OneImage(model)
    with tempfile.TemporaryDirectory() as folder, _silent():
        # By way of a SavedModel: of functions alone, TensorFlow 2.21 converts
        # weights to other numbers.
        tf.saved_model.save(module, folder, {"serving_default": module.serve})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        set_up(converter, quantize)
        return converter.convert()


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
