"""Files of LiteRT with smaller numbers, and what that changes."""

from __future__ import annotations

import dataclasses
import typing
import warnings

import numpy as np
import tensorflow as tf

from tfcl.data.absent import is_lost
from tfcl.data.pairs import PairSplit
from tfcl.engine.serving.export_options import FLOAT16, INT8

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import keras

    from tfcl.data.task import Task

# A device takes images one by one, and so does its measurement.
MOST_IMAGES = 1000
_RANDOM_IMAGES = 64


class Measured(typing.NamedTuple):
    """Examples by which a file is measured.

    Attributes:
        images: uint8 `(n, height, width, channels)` in the network's size.
        labels: Numbers of their classes, `(n,)`.
    """

    images: np.ndarray
    labels: np.ndarray


def measured_by(task: Task) -> Measured | None:
    """Some test images of a task; None if it is not measured by images, or
    nobody has them.

    Args:
        task: `Task` with its data.
    """
    split = task.test
    if isinstance(split, PairSplit) or split.images.dtype != np.uint8:
        return None
    if is_lost(split):
        return None
    # Of all classes, though a split may have one after another.
    order = np.random.default_rng(0).permutation(len(split.labels))
    rows = np.sort(order[:MOST_IMAGES])
    return Measured(split.images[rows], split.labels[rows])


@dataclasses.dataclass(frozen=True)
class Change:
    """What quantisation has changed.

    Attributes:
        bytes_before, bytes_after: Of the file.
        images: How many images were compared.
        largest: The largest difference of a probability.
        accuracies: Before and after, on `images` test images; None if they
            were random ones, of which nobody knows the class.
    """

    bytes_before: int
    bytes_after: int
    images: int
    largest: float
    accuracies: tuple[float, float] | None

    def __str__(self):
        sizes = (
            f"{self.bytes_before / 1e6:.3g} MB before, "
            f"{self.bytes_after / 1e6:.3g} MB after"
        )
        if self.accuracies is None:
            return (
                f"{sizes}; no test images are at hand: on {self.images} images "
                "of random pixels the probabilities differ by at most "
                f"{self.largest:.2g}, which tells little of real ones"
            )
        before, after = (100 * each for each in self.accuracies)
        return (
            f"{sizes}; accuracy on {self.images} test images {before:.2f} % "
            f"before, {after:.2f} % after; probabilities differ by at most "
            f"{self.largest:.2g}"
        )


def set_up(converter: Any, quantize: str) -> None:
    """Tells a `tf.lite.TFLiteConverter` what to make of the weights.

    Args:
        converter: Changed.
        quantize: "int8" stores the weights of large layers in 8 bits, with a
            scale, and computes with the range that each image turns out to
            have; "float16" stores all of them in 16 bits. "none": 32 bits.
    """
    if quantize in (INT8, FLOAT16):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == FLOAT16:
        converter.target_spec.supported_types = [tf.float16]


def change(
    model: keras.Model,
    plain: bytes,
    quantized: bytes,
    measured: Measured | None,
) -> Change:
    """Compares a quantised file with one that is not.

    Args:
        model: Network of both, from pixels to probabilities.
        plain, quantized: Contents of the files.
        measured: Test images; None for random ones.
    """
    if measured is None:
        shape = (_RANDOM_IMAGES, *model.inputs[0].shape[1:])
        images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    else:
        images = measured.images[:MOST_IMAGES]
    before, after = (
        np.concatenate([run(image[None]) for image in images])
        for run in (_runner(plain), _runner(quantized))
    )
    accuracies = None
    if measured is not None:
        right = [
            found.argmax(-1) == measured.labels[:MOST_IMAGES]
            for found in (before, after)
        ]
        accuracies = (float(np.mean(right[0])), float(np.mean(right[1])))
    largest = float(np.abs(before - after).max())
    return Change(len(plain), len(quantized), len(images), largest, accuracies)


def _runner(content: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """Function from one uint8 image `(1, ...)` to its probabilities."""
    with warnings.catch_warnings():
        # TensorFlow's own interpreter is that of LiteRT and says that it
        # moves there; a package more only to measure is not worth it.
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(model_content=content)
    signature = interpreter.get_signature_runner()

    def run(image):
        # A copy: the interpreter's memory is used again.
        return np.array(signature(pixels=image)["probabilities"])

    return run
