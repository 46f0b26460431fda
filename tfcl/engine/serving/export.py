"""A learned task as a SavedModel of its own."""

from __future__ import annotations

import pathlib
import shutil
import typing

import keras
import tensorflow as tf

from tfcl.errors import UserError
from tfcl.files import cannot
from tfcl.models.surgery.rewire import maker

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.data.preprocessing import Preprocessing
    from tfcl.engine.storage.bank import BankedTask
    from tfcl.methods.base import Method
    from tfcl.types import Shape


class ServedTask(tf.Module):
    """uint8 images of any size in, named class probabilities out.

    `serve(images)` takes `(n, height, width, 1, 3 or 4 channels)` and returns
    `probabilities` `(n, C)` float32, `class_names` `(C,)`, the most probable
    name of each image, `labels` `(n,)`, and `embeddings` `(n, units)`, what
    the last layer sees: images of things that the task does not know are
    compared by their angles.

    Holds the plain network of one task, each weight once (Keras' own export
    stores every weight twice in version 3.15).

    Args:
        model: Plain Keras model from standardised images to logits.
        preprocessing: `Preprocessing`.
        class_names: Names of the classes.
    """

    def __init__(
        self,
        model: keras.Model,
        preprocessing: Preprocessing,
        class_names: Sequence[str],
    ):
        super().__init__()
        # The variables are tracked here, once; the model itself is only in
        # the closure, so that nothing of Keras is saved beside them.
        self.weights = [weight.value for weight in model.weights]
        any_images = tf.TensorSpec((None, None, None, None), tf.uint8, "images")
        logits = model.outputs[0]
        _, embeddings = maker(logits)
        both = keras.Model(model.inputs, [logits, embeddings])

        def serve(images):
            logits, embeddings = both(preprocessing(images), training=False)
            names = tf.constant(tuple(class_names))
            return {
                "probabilities": tf.nn.softmax(tf.cast(logits, tf.float32)),
                "class_names": names,
                "embeddings": tf.cast(embeddings, tf.float32),
                "labels": tf.gather(names, tf.argmax(logits, axis=-1)),
            }

        self.serve = tf.function(
            serve, input_signature=[any_images], autograph=False
        )


def check_takes_images(entry: BankedTask, image_shape: Shape) -> None:
    """Refuses a task whose network takes features or points.

    Args:
        entry: `BankedTask`.
        image_shape: `(height, width, channels)` of the network's input.

    Raises:
        UserError: If images do not become such an input.
    """
    made, taken = tuple(entry.preprocessing.image_shape), tuple(image_shape)
    if made != taken or taken[-1] not in (1, 3):
        what = "points" if made == taken else "features of another network"
        raise UserError(
            f"The network of task '{entry.name}' takes {what}, of shape "
            f"{taken}, not images: it cannot be exported or asked by "
            "images. Bind Experiment.exports = False in such a run."
        )


def with_answers_of_today(method: Method, entry: BankedTask) -> BankedTask:
    """A task with the classes that the run's newest stream names.

    A method that needs no task answers with all of them, also with those that
    came after the task; its logits have a column for each.

    Args:
        method: `Method`, set up.
        entry: `BankedTask`, which is changed.
    """
    if not method.needs_task:
        entry.class_names = tuple(method.spec.class_names[entry.index])
    return entry


def export_task(
    method: Method, entry: BankedTask, folder: str | pathlib.Path
) -> pathlib.Path:
    """Writes the SavedModel of a finished task.

    Args:
        method: `Method`, set up, shared variables restored.
        entry: `BankedTask`.
        folder: Folder of exports; the task's name is added.

    Returns:
        Path of the SavedModel.

    Raises:
        UserError: If the task's network does not take images.
        RunError: If the disk is full or not writable.
    """
    check_takes_images(entry, method.spec.image_shape)
    entry = with_answers_of_today(method, entry)
    method.activate(entry.values, entry.index)
    model = method.network().lower()
    module = ServedTask(model, entry.preprocessing, entry.class_names)
    signatures = {"serving_default": module.serve}
    final = pathlib.Path(folder) / entry.name
    return write_saved_model(module, signatures, final)


def write_saved_model(
    module: tf.Module, signatures: Any, final: pathlib.Path
) -> pathlib.Path:
    """Writes a SavedModel; it appears under its name when it is complete.

    Args:
        module: `tf.Module`.
        signatures: `{name: tf.function}`.
        final: Path of its folder.

    Returns:
        `final`.

    Raises:
        RunError: If the disk is full or not writable.
    """
    temporary = final.with_name(f".{final.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        tf.saved_model.save(module, str(temporary), signatures=signatures)
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
    except (tf.errors.OpError, OSError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise cannot(
            f"export '{final.name}' to {final.parent}", error
        ) from error
    return final
