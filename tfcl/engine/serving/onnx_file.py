"""Networks as files of ONNX."""

from __future__ import annotations

import logging as stdlib_logging
import typing

import numpy as np
import tensorflow as tf

from tfcl.engine.serving.export import silent, traced
from tfcl.errors import UserError, installing

if typing.TYPE_CHECKING:
    import keras


OPSET = 15  # tf2onnx's own choice; onnxruntime reads it since 2022.
_IMAGES = 64
_CLOSE = 1e-3  # Of probabilities; rounding makes up to 1e-5.


def require_converter() -> None:
    """Refuses an export without the packages of the extra `onnx`.

    Raises:
        UserError: That says which to install.
    """
    try:
        import onnx  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"--format=onnx needs the Python package '{error.name}'. Install "
            f"it: {installing(error)}"
        ) from error


def converted(model: keras.Model, name: str) -> bytes:
    """The content of an ONNX file, whose graph has been checked.

    It takes `pixels`, uint8 `(n, height, width, channels)`, and gives
    `probabilities`, float32 `(n, classes)`, for any `n`.

    Args:
        model: From pixels of 0 to 255 to probabilities, in batches.
        name: Of the task, for the error.

    Raises:
        UserError: If ONNX has no form of an operation of the network, or a
            package is missing.
    """
    require_converter()
    import onnx
    import tf2onnx

    shape = (None, *model.inputs[0].shape[1:])
    spec = tf.TensorSpec(shape, tf.uint8, "pixels")

    def answer(pixels):
        found = model(tf.cast(pixels, tf.float32), training=False)
        return {"probabilities": found}

    serve = traced(answer, spec)
    with silent(stdlib_logging.getLogger("tf2onnx")):
        found, _ = tf2onnx.convert.from_function(
            serve,
            input_signature=[spec],
            opset=OPSET,
            custom_op_handlers={"Erfc": (_complement, [])},
        )
    _fix_constants(found.graph, serve.get_concrete_function())
    for side in (*found.graph.input, *found.graph.output):
        # The converter's own name differs from process to process.
        side.type.tensor_type.shape.dim[0].dim_param = "n"
    try:
        onnx.checker.check_model(found, full_check=True)
    except (
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
    ) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"The network of task '{name}' has an operation that ONNX, or its "
            f"converter tf2onnx, does not know: {reason}. Export it as a "
            "SavedModel, or with --format=litert."
        ) from error
    return found.SerializeToString()


def _complement(graph, node, *names) -> None:
    """Erfc of an exact GELU, which tf2onnx 1.17 does not know: 1 - erf."""
    del names
    (given,), shapes, types = node.input, node.output_shapes, node.output_dtypes
    graph.remove_node(node.name)
    one = graph.make_const(f"{node.name}_one", np.ones((), np.float32))
    erf = graph.make_node("Erf", [given], shapes=shapes, dtypes=types)
    graph.make_node(
        "Sub",
        [one.output[0], erf.output[0]],
        outputs=node.output,
        shapes=shapes,
        dtypes=types,
    )


def _fix_constants(graph, function) -> None:
    """Constants of layers (`Normalization`) become such in the file, too.

    The converter takes them for further inputs, by their names in TensorFlow.
    """
    import onnx

    values = {inner.name: outer for outer, inner in function.graph.captures}
    used = {name for node in graph.node for name in node.input}
    for name in [each.name for each in graph.input[1:]]:
        if name in used:
            value = onnx.numpy_helper.from_array(values[name].numpy(), name)
            graph.initializer.append(value)
    del graph.input[1:]


def compare(model: keras.Model, content: bytes, name: str) -> str:
    """Answers of a file beside those of its network, for a log.

    Args:
        model: As of `converted`.
        content: Of the file.
        name: Of the task, for the error.

    Raises:
        UserError: If the file answers otherwise.
    """
    try:
        import onnxruntime
    except ImportError as error:
        return f"not compared, for want of onnxruntime ({installing(error)})"
    session = onnxruntime.InferenceSession(
        content, providers=["CPUExecutionProvider"]
    )
    shape = (_IMAGES, *model.inputs[0].shape[1:])
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    (found,) = session.run(["probabilities"], {"pixels": images})
    wanted = model.predict(images, batch_size=_IMAGES, verbose=0)
    largest = float(np.abs(found - wanted).max())
    if not largest <= _CLOSE:
        raise UserError(
            f"The ONNX file of task '{name}' answers otherwise than its "
            f"network: probabilities differ by {largest:.2g}. It is not "
            "written. Export a SavedModel."
        )
    return (
        f"on {_IMAGES} images of random pixels its probabilities differ from "
        f"the network's by at most {largest:.2g}"
    )
