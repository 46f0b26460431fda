"""Arrays and `tf.data` sets of a user as images of one shape with labels."""

from __future__ import annotations

import os
import typing

import numpy as np
import tensorflow as tf
from absl import logging

from tfcl.data.preprocessing import grey_levels
from tfcl.data.sources.image_files import read_image
from tfcl.data_builders.image_folders.image_file import DEFAULT_RULES
from tfcl.errors import UserError
from tfcl.files import local_path

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from tfcl.data.preprocessing import Preprocessing
    from tfcl.types import Shape


_AT_ONCE = 256  # Images that are resized, or classified, together.
_HOW = "Give pixels from 0 to 255, or floats from 0 to 1"


def labelled_images(
    examples: Any, where: str, image_shape: Shape, resize: str
) -> tuple[np.ndarray, np.ndarray]:
    """Images in one shape, and labels as they are.

    Args:
        examples: `(images, labels)`, or a `tf.data.Dataset`; see `Task`.
        where: What messages call them.
        image_shape: `(height, width, channels)` of the result.
        resize: See `Preprocessing`.

    Returns:
        uint8 `(n, height, width, channels)`, and `(n, ...)` labels.

    Raises:
        UserError: If they are something else.
    """
    if isinstance(examples, tf.data.Dataset):
        return _of_dataset(examples, where, image_shape, resize)
    if not isinstance(examples, (tuple, list)) or len(examples) != 2:
        raise UserError(
            f"{where} must be (images, labels), a tf.data.Dataset, the path of "
            "a folder or the name of a data set. Received: "
            f"{type(examples).__name__}"
        )
    images, labels = (_array(each, where) for each in examples)
    if not images.ndim or not labels.ndim:
        raise UserError(
            f"{where} must be (images, labels), an array each. Received: "
            f"{', '.join(type(each).__name__ for each in examples)}"
        )
    if not len(images) or len(images) != len(labels):
        raise UserError(
            f"{where} must have a label for each image, and at least one. "
            f"Received: {len(images)} images, {len(labels)} labels"
        )
    pixels = as_grey_levels(images, where)
    return in_one_shape(pixels, image_shape, resize), labels


def _array(given, where):
    try:
        return np.asarray(given)
    except ValueError as error:  # Of parts with unequal shapes.
        raise UserError(
            f"{where}: an array has images of one size. Give images of several "
            "sizes as a folder or a tf.data.Dataset, or bring them to one."
        ) from error


def shape_of(examples: Any) -> tuple[int, ...] | None:
    """`(height, width, channels)` of the examples, None if not one shape.

    Args:
        examples: As of `labelled_images`.
    """
    if isinstance(examples, tf.data.Dataset):
        spec = examples.element_spec
        shape = spec[0].shape if isinstance(spec, tuple) else None
        if shape is None or shape.rank not in (3, 4):
            return None
        found = tuple(shape.as_list()[-3:])
    elif isinstance(examples, (tuple, list)) and len(examples) == 2:
        try:
            found = np.shape(examples[0])[1:]
        except ValueError:  # Unequal ones, which are refused when read.
            return None
        found = (*found, 1) if len(found) == 2 else found
    else:
        return None
    whole = len(found) == 3 and None not in found
    return tuple(int(n) for n in found) if whole else None


def _of_dataset(dataset, where, image_shape, resize):
    spec = dataset.element_spec
    ranks = [getattr(each, "shape", None) for each in tf.nest.flatten(spec)]
    if (
        not isinstance(spec, tuple)
        or len(ranks) != 2
        or (ranks[0] is None or ranks[0].rank not in (3, 4))
    ):
        raise UserError(
            f"{where} must be a tf.data.Dataset of pairs (image, label), each "
            "image of (height, width, channels), in batches or not. Received: "
            f"elements {spec}"
        )
    if ranks[0].rank == 3:
        dataset = dataset.map(lambda image, label: (image[None], label[None]))
    given = list(dataset.as_numpy_iterator())
    if not given:
        raise UserError(f"{where}: the tf.data.Dataset has no example.")
    # Of all: a dark image alone does not tell what is white.
    high = max(float(np.max(pixels)) for pixels, _ in given)
    images = [
        in_one_shape(as_grey_levels(pixels, where, high), image_shape, resize)
        for pixels, _ in given
    ]
    labels = [label for _, label in given]
    pixels, label = np.concatenate(images), np.concatenate(labels)
    # A shuffled set comes in another order whenever it is read.
    keys = [each.tobytes() for each in pixels]
    order = sorted(range(len(keys)), key=lambda k: (keys[k], str(label[k])))
    return pixels[order], label[order]


def as_grey_levels(
    images: np.ndarray, where: str, high: float | None = None
) -> np.ndarray:
    """Images as uint8 from 0 to 255.

    Args:
        images: `(n, height, width)` or `(n, height, width, 1, 3 or 4)`.
        where: What messages call them.
        high: Largest number of the set that they are of; None takes theirs.

    Returns:
        `(n, height, width, channels)`.

    Raises:
        UserError: If they have another shape, or numbers that are no pixels.
    """
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3, 4):
        raise UserError(
            f"{where}: images must be (n, height, width) or (n, height, width, "
            f"1, 3 or 4). Received: shape {images.shape}"
        )
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind not in "iuf":
        raise UserError(
            f"{where}: images must be numbers. {_HOW}. Received: dtype "
            f"{images.dtype}"
        )
    low = float(images.min())
    high = float(images.max()) if high is None else high
    if not (low >= 0.0 and high <= 255.0):  # NaN, too.
        raise UserError(
            f"{where}: {_HOW}, not standardised: the run standardises them "
            f"itself. Received: values from {low:.6g} to {high:.6g}"
        )
    if images.dtype.kind == "f" and high <= 1.0:
        logging.log_first_n(
            logging.INFO,
            "%s: floats from 0 to 1 become 256 grey levels.",
            1,
            where,
        )
        images = images * 255.0
    return np.rint(images).astype(np.uint8)


def image_batches(
    images: Any, preprocessing: Preprocessing
) -> Iterator[np.ndarray]:
    """Images that a learned task is asked for.

    Args:
        images: Of `as_grey_levels`, or the path of an image file, or a list
            of paths.
        preprocessing: `Preprocessing` of the task.

    Yields:
        uint8 `(k, height, width, channels)`.

    Raises:
        UserError: If these are no images.
    """
    if isinstance(images, (str, os.PathLike)):
        images = [images]
    if isinstance(images, (list, tuple)) and all(
        isinstance(each, (str, os.PathLike)) for each in images
    ):
        rules = DEFAULT_RULES._replace(
            white=preprocessing.white, two_channels=preprocessing.two_channels
        )
        for path in images:
            yield read_image(local_path(path, "images"), rules)[None]
        return
    levels = as_grey_levels(np.asarray(images), "Images to classify")
    for first in range(0, len(levels), _AT_ONCE):
        yield levels[first : first + _AT_ONCE]


def in_one_shape(
    images: np.ndarray, image_shape: Shape, resize: str
) -> np.ndarray:
    """Images brought to a shape as a served task does it.

    Args:
        images: uint8 `(n, height, width, channels)`.
        image_shape: `(height, width, channels)` of the result.
        resize: See `Preprocessing`.
    """
    if images.shape[1:] == tuple(image_shape) and "centre" not in resize:
        return images
    made = np.empty((len(images), *image_shape), np.uint8)
    for first in range(0, len(images), _AT_ONCE):
        part = images[first : first + _AT_ONCE]
        levels = grey_levels(tf.constant(part), image_shape, resize)
        made[first : first + _AT_ONCE] = levels.numpy()
    return made


def class_numbers(
    parts: Sequence[np.ndarray], names: Sequence[str] | None, where: str
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Labels as numbers 0..C-1, and the names of the classes.

    Args:
        parts: Labels of the parts of a task, those to learn from first: class
            numbers `(n,)` or `(n, 1)`, one-hot `(n, C)`, or names `(n,)`.
        names: Of the classes; None takes those of the data.
        where: What messages call the task.

    Raises:
        UserError: If they are something else, or there is no such class.
    """
    flat = [_flat(labels, where) for labels in parts]
    if flat[0].dtype.kind in "US":
        return _of_names(flat, names, where)
    if names is None:
        names = _numbers_as_names(flat, where)
    _refuse_repeated(names, where)
    for labels in flat:
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(names):
            raise UserError(
                f"{where}: labels must be 0..{len(names) - 1}, one per class "
                f"name. Received: labels {low}..{high}"
            )
    return [each.astype(np.int32) for each in flat], tuple(map(str, names))


def _refuse_repeated(names, where):
    texts = list(map(str, names))
    repeated = sorted({name for name in texts if texts.count(name) > 1})
    if repeated:
        raise UserError(
            f"{where}: class_names must differ, but these come twice: "
            f"{', '.join(map(repr, repeated[:5]))}. Rename one of each."
        )


def _numbers_as_names(flat, where):
    found = np.unique(np.concatenate(flat))
    if not np.array_equal(found, np.arange(len(found))):
        shown = ", ".join(map(str, found[:5].tolist()))
        raise UserError(
            f"{where}: labels must be 0..{len(found) - 1} for the "
            f"{len(found)} classes found, or names. Received: labels {shown}"
            f"{', ...' if len(found) > 5 else ''}. Number the classes of the "
            "task from 0, or give labels as texts."
        )
    return [str(number) for number in found]


def _flat(labels, where):
    """`(n,)` class numbers or texts."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "O" or labels.dtype.kind == "S":
        labels = np.array([_text(each) for each in labels.ravel()])
    if labels.ndim == 2 and labels.dtype.kind in "biuf":
        if set(np.unique(labels)) <= {0, 1} and (labels.sum(axis=1) == 1).all():
            return labels.argmax(axis=1)
    whole = labels.dtype.kind in "biu" or (
        labels.dtype.kind == "f" and bool((labels == np.rint(labels)).all())
    )
    if labels.ndim != 1 or not (whole or labels.dtype.kind == "U"):
        raise UserError(
            f"{where}: labels must be class numbers or names (n,), or one-hot "
            f"(n, classes). Received: shape {labels.shape}, dtype "
            f"{labels.dtype}"
        )
    return labels if labels.dtype.kind == "U" else labels.astype(np.int64)


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def _of_names(parts, names, where):
    found: Iterable[str] = sorted(set(parts[0])) if names is None else names
    _refuse_repeated(found, where)
    numbers = {str(name): k for k, name in enumerate(found)}
    unknown = sorted({str(n) for part in parts for n in part} - set(numbers))
    if unknown:
        raise UserError(
            f"{where}: no class is called {', '.join(map(repr, unknown[:5]))}. "
            f"The classes are {', '.join(numbers)}."
        )
    made = [np.array([numbers[str(n)] for n in part]) for part in parts]
    return [each.astype(np.int32) for each in made], tuple(numbers)
