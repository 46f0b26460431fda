"""Networks as files of LiteRT."""

from __future__ import annotations

import collections
import functools
import tempfile
import typing
import warnings

import numpy as np
import tensorflow as tf

from tfcl.engine.serving.export import silent, traced
from tfcl.engine.serving.export_options import (
    FLOAT16,
    FULL_INTEGER,
    INT8,
    NONE,
)

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import keras


_FLOATS = {"FLOAT32", "FLOAT16"}
_TURNS = ("QUANTIZE", "DEQUANTIZE")  # Between float and 8 bits.


def converted(
    model: keras.Model,
    quantize: str = NONE,
    representative: np.ndarray | None = None,
) -> bytes:
    """The content of a LiteRT file of built-in operations alone.

    It takes one image at a time, uint8 `(1, height, width, channels)`, as
    `pixels`, and gives `probabilities`, `(1, classes)`: float32, or uint8 in
    256ths if it is integer throughout.

    Args:
        model: From pixels of 0 to 255 to probabilities, in batches.
        quantize: "int8" stores the weights of large layers in 8 bits, with a
            scale, and computes with the range that each image turns out to
            have; "float16" stores all of them in 16 bits. "full_integer"
            stores all of them in 8 bits and computes in 8 bits, too, wherever
            LiteRT has such an operation. "none": 32 bits.
        representative: Images that tell the ranges of "full_integer", uint8
            `(n, height, width, channels)`.
    """
    integer = quantize == FULL_INTEGER
    module = _OneImage(model, tf.float32 if integer else tf.uint8)
    with tempfile.TemporaryDirectory() as folder, silent(tf.get_logger()):
        # By way of a SavedModel: of functions alone, TensorFlow 2.21 converts
        # weights to other numbers.
        tf.saved_model.save(module, folder, {"serving_default": module.serve})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if quantize in (INT8, FLOAT16):
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == FLOAT16:
            converter.target_spec.supported_types = [tf.float16]
        if integer:
            assert representative is not None, "the ranges are measured"
            _set_up_integers(converter, representative)
        return converter.convert()


class _OneImage(tf.Module):
    """A network that takes images one by one, in its own size."""

    def __init__(self, model, dtype):
        super().__init__()
        self.weights = [weight.value for weight in model.weights]
        shape = (1, *model.inputs[0].shape[1:])

        def serve(pixels):
            found = model(tf.cast(pixels, tf.float32), training=False)
            return {"probabilities": found}

        self.serve = traced(serve, tf.TensorSpec(shape, dtype, "pixels"))


def _set_up_integers(converter, representative):
    kinds = tf.lite.OpsSet
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = functools.partial(
        _of_whole_range, representative
    )
    # What has no form in 8 bits stays in float, see `float_operations`.
    converter.target_spec.supported_ops = [
        kinds.TFLITE_BUILTINS_INT8,
        kinds.TFLITE_BUILTINS,
    ]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.uint8


def _of_whole_range(images):
    """Yields the images; their least value is 0, their largest 255.

    So the scale of the input is 1, and a pixel goes in as it is. It takes a
    channel of a pixel of the first image, and one of the last.
    """
    last = len(images) - 1
    for number, image in enumerate(images):
        pixels = image[None].astype(np.float32)
        if number == 0:
            pixels[0, 0, 0, 0] = 0.0
        if number == last:
            pixels[0, -1, -1, -1] = 255.0
        yield {"pixels": pixels}


def runner(content: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """Function from one uint8 image `(1, ...)` to its probabilities, float32.

    Args:
        content: Of a file of `converted`.
    """
    with warnings.catch_warnings():
        # TensorFlow's own interpreter is that of LiteRT and says that it
        # moves there; a package more only to measure is not worth it.
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(model_content=content)
    signature = interpreter.get_signature_runner()
    (output,) = interpreter.get_output_details()
    scale, zero = output["quantization"]

    def run(image):
        # A copy: the interpreter's memory is used again.
        found = np.array(signature(pixels=image)["probabilities"])
        if found.dtype == np.float32:
            return found
        return (found.astype(np.float32) - zero) * np.float32(scale)

    return run


def operations(content: bytes) -> tuple[int, dict[str, int]]:
    """How many operations a file has, and which of them compute in float.

    Args:
        content: Of a file of `converted`.

    Returns:
        The number, without those that only turn float into 8 bits and back;
        `{name in LiteRT: count}` of those with a float on either side.
    """
    # Imported here: it is read for this alone.
    from tensorflow.lite.tools import flatbuffer_utils as reader

    model: Any = reader.read_model_from_bytearray(bytearray(content))
    count, floats = 0, collections.Counter[str]()
    for graph in model.subgraphs:
        for operation in graph.operators:
            name = reader.opcode_to_name(model, operation.opcodeIndex)
            if name in _TURNS:
                continue
            count += 1
            # -1 stands for an input that is left out.
            sides = [*operation.inputs, *operation.outputs]
            types = {graph.tensors[side].type for side in sides if side >= 0}
            if _FLOATS & set(map(reader.type_to_name, types)):
                floats[name] += 1
    return count, dict(sorted(floats.items()))
