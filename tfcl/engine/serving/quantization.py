"""Files of LiteRT with smaller numbers: by which images, and what changes."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

from tfcl.data.absent import is_lost
from tfcl.data.pairs import PairSplit
from tfcl.engine.serving.export_options import FULL_INTEGER, NONE
from tfcl.engine.serving.litert import operations, runner
from tfcl.errors import UserError
from tfcl.randomness import generator

if typing.TYPE_CHECKING:
    import keras

    from tfcl.data.task import Task
    from tfcl.engine.serving.export_options import ExportOptions

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


class Examples(typing.NamedTuple):
    """Images of a task that quantisation asks for, as far as they are at hand.

    Attributes:
        measured: `Measured`, test images.
        representative: Training images, or else validation images, that tell
            the ranges of a file that is integer throughout, uint8
            `(n, height, width, channels)`.
    """

    measured: Measured | None = None
    representative: np.ndarray | None = None


def examples_of(task: Task, options: ExportOptions, seed: int) -> Examples:
    """The `Examples` of a task that an export asks for.

    Args:
        task: `Task` with its data.
        options: `ExportOptions`.
        seed: Of the run; it draws the representative images.

    Raises:
        UserError: If the data have changed since the task was learned.
    """
    if options.quantize == NONE:
        return Examples()
    representative = None
    if options.quantize == FULL_INTEGER:
        count = options.representative_images
        representative = _representative(task, count, seed)
    return Examples(measured_by(task), representative)


def _representative(task, count, seed):
    """Never test images: these measure what is lost."""
    for split in (task.train, task.validation):
        known = split.images.dtype == np.uint8 and not is_lost(split)
        if known and len(split):
            draw = generator(seed, "representative images", task.index)
            rows = draw.permutation(len(split))[:count]
            return split.taken(np.sort(rows)).images[:]
    return None


def require_representative(name: str, examples: Examples) -> None:
    """Refuses a file that is integer throughout without images for it.

    Args:
        name: Of the task.
        examples: `Examples` of it.

    Raises:
        UserError: With the ways to give them.
    """
    if examples.representative is None:
        raise UserError(
            f"--quantize={FULL_INTEGER} takes the ranges of numbers from "
            f"training or validation images of task '{name}', which are not "
            "at hand. If its data set has moved, give --data_dir. If a Python "
            "program has given the task, let it call learner.learn(tfcl.Task("
            f"'{name}', train=...)), which does not learn it again, and then "
            "learner.export. Other values of --quantize need no images."
        )


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
        for run in (runner(plain), runner(quantized))
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


def told_operations(content: bytes) -> str:
    """How much of a file that should be integer throughout is, for a log.

    Args:
        content: Of a file of LiteRT.
    """
    count, floats = operations(content)
    if not floats:
        return f"all {count} operations compute in 8 bits"
    names = ", ".join(f"{name} ({n})" for name, n in floats.items())
    return (
        f"{sum(floats.values())} of {count} operations stay in float, which "
        f"devices without it cannot run: {names}"
    )
