"""How a run reads the images of its tasks: what is wished, and what is so."""

from __future__ import annotations

import dataclasses
import typing

from absl import logging

from tfcl.arguments import fits
from tfcl.data.task_assembly import Statistics, checked_statistics
from tfcl.errors import UserError
from tfcl.learner.arrays import shape_of
from tfcl.models.backbones.given_model import GivenModel
from tfcl.models.model_pixels import RAW, own_preprocessing

if typing.TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import keras

    from tfcl.learner.kept_tasks import KeptTasks
    from tfcl.learner.task import Task
    from tfcl.methods.base import Method


_AUTO = "auto"
_DEFAULTS = {
    "batch_size": 32,
    "preprocessing": _AUTO,
    "resize": "stretch",
    "validation_fraction": 0.15,
    "test_fraction": 0.2,
}


@dataclasses.dataclass(frozen=True)
class Reading:
    """How the images of a task are read; the run keeps it as JSON.

    Attributes:
        image_shape: `(height, width, channels)` of the network's input.
        statistics: See `assemble_task`.
        resize: See `Preprocessing`.
        validation_fraction, test_fraction: Parts of a class's training
            examples to cut where a task brings none of its own.
        data_seed: Of the cut.
        batch_size: Examples per training step.
    """

    image_shape: tuple[int, ...]
    statistics: Any
    resize: str
    validation_fraction: float
    test_fraction: float
    data_seed: int
    batch_size: int

    def to_json(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reading:
        """What `to_json` told."""
        return cls(**{name: _as_tuple(value) for name, value in data.items()})


def _as_tuple(value):
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value


def reading_for(
    kept: KeptTasks,
    task: Task,
    method: Method | None,
    wishes: Mapping[str, Any],
    data_seed: int,
    begun: bool = False,
) -> Reading:
    """How a task of a run is read.

    Args:
        kept: `KeptTasks` of the run.
        task: The next one.
        method: `Method`; its Keras model tells what images it takes.
        wishes: Arguments of `Learner`, None for what is not given.
        data_seed: Of the cut; that of the run once it has begun.
        begun: Whether the run is in the middle of the task.

    Raises:
        UserError: If they cannot be had, or differ from what the run was
            begun with.
    """
    before = None if kept.settings is None else Reading.from_json(kept.settings)
    if before is not None:
        _refuse_others(before, wishes, begun)
    model = _model_of(method)
    if before is None:
        image_shape = _image_shape(task, model, wishes)
    else:
        image_shape = before.image_shape

    def value(name):
        found = wishes[name]
        if found is None:
            found = getattr(before, name, None) or _DEFAULTS[name]
        return found

    if before is not None and wishes["preprocessing"] is None:
        statistics = before.statistics
    else:
        statistics = statistics_of(
            value("preprocessing"), model, image_shape[-1]
        )
    return Reading(
        image_shape=image_shape,
        statistics=statistics,
        resize=value("resize"),
        validation_fraction=value("validation_fraction"),
        test_fraction=value("test_fraction"),
        data_seed=data_seed if before is None else before.data_seed,
        batch_size=value("batch_size"),
    )


def _refuse_others(before, wishes, begun):
    """Refuses what a run cannot change once it has begun, or its task."""
    *size, channels = before.image_shape
    # What the network is made for, and the training of the task in hand.
    made_for: dict[str, Any] = {
        "image_size": tuple(size),
        "channels": channels,
    }
    if begun:
        made_for["batch_size"] = before.batch_size
    for name, found in made_for.items():
        wish = wishes[name]
        if name == "image_size" and wish is not None:
            wish = _pair(wish)
        if wish not in (None, found):
            raise UserError(
                f"The run was begun with {name}={found}, and cannot "
                f"change it. Received: {name}={wish}. Leave it out, or give "
                "another folder."
            )


def _model_of(method: Method | None) -> keras.Model | None:
    training = getattr(method, "training", None)
    backbone = getattr(training, "make_backbone", None)
    return backbone.model if isinstance(backbone, GivenModel) else None


def _image_shape(task, model, wishes):
    of_model = (None,) * 3
    if model is not None and len(model.inputs[0].shape) == 4:
        of_model = tuple(model.inputs[0].shape[1:])
    of_task = shape_of(task.train) or (None,) * 3
    size = wishes["image_size"]
    if size is not None:
        size = _pair(size)
    elif None not in of_model[:2]:
        size = of_model[:2]
    elif None not in of_task[:2]:
        size = of_task[:2]
    else:
        raise UserError(
            f"Task '{task.name}': neither the method's backbone nor the images "
            "say how large the network's input is. Give "
            "Learner(image_size=...), a number of pixels or a pair (height, "
            "width)."
        )
    channels = wishes["channels"] or of_model[2] or of_task[2] or 3
    # Without opacity.
    return (*size, 1 if channels < 3 else 3)


def _pair(size):
    pair = (size,) * 2 if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or not all(isinstance(n, int) and n > 0 for n in pair):
        raise UserError(
            "Argument `image_size` must be a positive number of pixels, or a "
            f"pair (height, width). Received: image_size={size!r}"
        )
    return pair


def statistics_of(wish: Any, model: keras.Model | None, channels: int) -> Any:
    """The wish `preprocessing` of a `Learner` as `assemble_task` takes it.

    Args:
        wish: As a user gives it.
        model: Keras model that gets the pixels, if it is known.
        channels: Of the images.

    Raises:
        UserError: If there is no such preprocessing.
    """
    if wish == _AUTO:
        layer = None if model is None else own_preprocessing(model)
        if layer is None:
            logging.info(
                "Images are standardised by mean and deviation of each task's "
                "training images (preprocessing='train')."
            )
            return "train"
        logging.info(
            "The model converts pixels itself (layer '%s', %s): it gets pixels "
            "from 0 to 255 (preprocessing='raw').",
            layer.name,
            type(layer).__name__,
        )
        return RAW
    if wish == "raw":
        return RAW
    if not fits(wish, Statistics):
        raise UserError(
            "Argument `preprocessing` must be 'auto', 'raw', 'train', 'split' "
            f"or 'none', or a pair (mean, std). Received: {wish!r}"
        )
    return checked_statistics(wish, channels)
