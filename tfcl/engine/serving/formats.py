"""Learned tasks as files of Keras, LiteRT and ONNX."""

from __future__ import annotations

import os
import pathlib
import typing

import keras
import numpy as np
from absl import logging

from tfcl.engine.serving import litert, onnx_file
from tfcl.engine.serving.export import plain_network
from tfcl.engine.serving.export_options import (
    FULL_INTEGER,
    LITERT,
    NONE,
    ONNX,
)
from tfcl.engine.serving.quantization import (
    Examples,
    change,
    require_representative,
    told_operations,
)
from tfcl.errors import UserError
from tfcl.files import cannot, write_atomically
from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from tfcl.engine.serving.export_options import ExportOptions
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
    examples: Examples | None = None,
) -> pathlib.Path:
    """Writes a task as `<task>.keras`, `.tflite` or `.onnx`, and its classes.

    All take pixels of 0 to 255 in the size of the network, and give
    probabilities: Keras and ONNX in batches, LiteRT one image at a time; the
    last two take uint8. The names of the classes stand in
    `<task>.labels.txt`, one per line. A quantised file is called
    `<task>.int8.tflite` and the like; what it changes is told in the log. One
    that is integer throughout gives probabilities in 256ths, uint8.

    Args:
        method: `Method`, set up, shared variables restored.
        entry: `BankedTask`.
        folder: Folder of exports.
        options: `ExportOptions` of `KERAS`, `LITERT` or `ONNX`.
        examples: Images of the task for a quantised file; without test images
            it is measured by random ones.

    Returns:
        Path of the file.

    Raises:
        UserError: See `pixels_to_probabilities`; or if a file is to be integer
            throughout and there are no images for it; or if ONNX does not
            take the network, or its converter is not installed.
        RunError: If the disk is full or not writable.
    """
    examples = examples or Examples()
    if options.quantize == FULL_INTEGER:
        require_representative(entry.name, examples)
    if options.form == ONNX:
        onnx_file.require_converter()
    model = pixels_to_probabilities(method, entry)
    place = pathlib.Path(folder)
    labels = "".join(f"{name}\n" for name in entry.class_names)
    try:
        place.mkdir(parents=True, exist_ok=True)
        write_atomically(place / f"{entry.name}.labels.txt", labels)
        if options.form == LITERT:
            return _write_litert(model, entry, place, options, examples)
        if options.form == ONNX:
            return _write_onnx(model, entry, place)
        path = place / f"{entry.name}.keras"
        temporary = place / f".{entry.name}.tmp.keras"
        model.save(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise cannot(f"export '{entry.name}' to {place}", error) from error
    return path


def _write_litert(model, entry, place, options, examples):
    content = litert.converted(model)
    if options.quantize == NONE:
        path = place / f"{entry.name}.tflite"
        write_atomically(path, content)
        return path
    quantized = litert.converted(
        model, options.quantize, examples.representative
    )
    path = place / f"{entry.name}.{options.quantize}.tflite"
    write_atomically(path, quantized)
    found = change(model, content, quantized, examples.measured)
    logging.info("'%s' as %s: %s.", entry.name, options.quantize, found)
    if options.quantize == FULL_INTEGER:
        logging.info("'%s': %s.", entry.name, told_operations(quantized))
    return path


def _write_onnx(model, entry, place):
    content = onnx_file.converted(model, entry.name)
    found = onnx_file.compare(model, content, entry.name)
    path = place / f"{entry.name}.onnx"
    write_atomically(path, content)
    size = f"{len(content) / 1e6:.3g} MB"
    logging.info("'%s' as onnx: %s; %s.", entry.name, size, found)
    return path
