"""A learned task as a SavedModel of its own."""

from __future__ import annotations

import contextlib
import logging as stdlib_logging
import pathlib
import shutil
import tempfile
import typing
import warnings

import keras
import tensorflow as tf

import tfcl
from tfcl.engine.serving.image_bytes import decoded
from tfcl.engine.serving.rejection import (
    about_rejection,
    check_rejects,
    labelled,
)
from tfcl.errors import UserError
from tfcl.files import cannot, json_text
from tfcl.models.surgery.rewire import maker

if typing.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from tfcl.data.preprocessing import Preprocessing
    from tfcl.engine.serving.served_facts import ServedFacts
    from tfcl.engine.storage.bank import BankedTask
    from tfcl.methods.base import Method
    from tfcl.types import Shape


ANY_IMAGES = tf.TensorSpec((None, None, None, None), tf.uint8, "images")
ANY_FILES = tf.TensorSpec((None,), tf.string, "files")


class ServedTask(tf.Module):
    """uint8 images of any size in, named class probabilities out.

    `serve(images)` takes `(n, height, width, 1, 3 or 4 channels)` and returns
    `probabilities` `(n, C)` float32, `class_names` `(n, C)`, the name of each
    image, `labels` `(n,)`, see `labelled`, and `embeddings` `(n, units)`, what
    the last layer sees: images of things that the task does not know are
    compared by their angles. `serve_files(files)` takes contents of JPEG, PNG,
    GIF or BMP files, `(n,)`, and returns the same; `embed(images)` returns
    `embeddings` alone.

    Every output has the images as its first axis, as servers expect that put
    requests together.

    Holds the plain network of one task, each weight once (Keras' own export
    stores every weight twice in version 3.15).

    Args:
        model: Plain Keras model from standardised images to logits.
        preprocessing: `Preprocessing`.
        class_names: Names of the classes.
        reject_below: See `labelled`.
    """

    def __init__(
        self,
        model: keras.Model,
        preprocessing: Preprocessing,
        class_names: Sequence[str],
        reject_below: float | None = None,
    ):
        super().__init__()
        # The variables are tracked here, once; the model itself is only in
        # the closure, so that nothing of Keras is saved beside them.
        self.weights = [weight.value for weight in model.weights]
        logits = model.outputs[0]
        _, embeddings = maker(logits)
        both = keras.Model(model.inputs, [logits, embeddings])

        def answer(images):
            logits, embeddings = both(images, training=False)
            names = tf.constant(tuple(class_names))
            probabilities = tf.nn.softmax(tf.cast(logits, tf.float32))
            best = tf.gather(names, tf.argmax(logits, axis=-1))
            return {
                "probabilities": probabilities,
                "class_names": tf.repeat(
                    names[None], tf.shape(logits)[0], axis=0
                ),
                "embeddings": tf.cast(embeddings, tf.float32),
                "labels": labelled(best, probabilities, reject_below),
            }

        def of_files(files):
            pixels = tf.cast(decoded(files, preprocessing), tf.float32)
            return answered(preprocessing.standardised(pixels))

        # All call it, so that the network is traced and stored once.
        shape = (None, *preprocessing.image_shape)
        answered = traced(answer, tf.TensorSpec(shape, tf.float32))
        self.serve = served = traced(
            lambda images: answered(preprocessing(images)), ANY_IMAGES
        )
        self.serve_files = traced(of_files, ANY_FILES)
        self.embed = traced(
            lambda images: {"embeddings": served(images)["embeddings"]},
            ANY_IMAGES,
        )

    @property
    def signatures(self) -> dict[str, tf.types.experimental.GenericFunction]:
        """`{name: function}` of the SavedModel."""
        return {
            "serving_default": self.serve,
            "serving_bytes": self.serve_files,
            "embeddings": self.embed,
        }


@contextlib.contextmanager
def silent(logger: stdlib_logging.Logger) -> Iterator[None]:
    """Keeps a converter from telling of its steps and of what will change.

    Args:
        logger: Of the converter.
    """
    level = logger.level
    logger.setLevel(stdlib_logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def traced(function: Any, *specs: tf.TensorSpec) -> Any:
    """A `tf.function` of one signature."""
    return tf.function(function, input_signature=specs, autograph=False)


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
        entry.class_names = method.answered_classes(entry.index)
    return entry


def plain_network(method: Method, entry: BankedTask) -> keras.Model:
    """The network of a task, from standardised images to logits.

    Args:
        method: `Method`, set up, shared variables restored.
        entry: `BankedTask`; it gets the classes of `with_answers_of_today`.

    Raises:
        UserError: If it does not take images.
    """
    check_takes_images(entry, method.spec.image_shape)
    with_answers_of_today(method, entry)
    method.activate(entry.values, entry.index)
    return method.network().lower()


def export_task(
    method: Method,
    entry: BankedTask,
    folder: str | pathlib.Path,
    facts: ServedFacts,
    reject_below: float | None = None,
) -> pathlib.Path:
    """Writes the SavedModel of a finished task.

    Args:
        method: `Method`, set up, shared variables restored.
        entry: `BankedTask`.
        folder: Folder of exports; the task's name and the version are added.
        facts: What `model.json` tells besides.
        reject_below: See `labelled`.

    Returns:
        Path of the SavedModel, `folder/<task>/<version>`.

    Raises:
        UserError: If the task's network does not take images.
        RunError: If the disk is full or not writable.
    """
    check_rejects([entry], reject_below)
    model = plain_network(method, entry)
    module = ServedTask(
        model, entry.preprocessing, entry.class_names, reject_below
    )
    about = {
        "labels.txt": "".join(f"{name}\n" for name in entry.class_names),
        "model.json": json_text(
            {
                **about_method(method, reject_below),
                **about_task(entry, facts),
            }
        ),
    }
    final = pathlib.Path(folder) / entry.name
    return write_saved_model(
        module, module.signatures, final, facts.version, about
    )


def about_method(
    method: Method, reject_below: float | None = None
) -> dict[str, Any]:
    """What `model.json` tells of all tasks, JSON-ready."""
    about = {"method": method.name, "tfcl": tfcl.__version__}
    return {**about, **about_rejection(reject_below)}


def about_task(entry: BankedTask, facts: ServedFacts) -> dict[str, Any]:
    """What `model.json` tells of a task, JSON-ready."""
    return {
        "task": entry.name,
        "class_names": list(entry.class_names),
        "test_accuracy": facts.accuracies.get(entry.name),
        "learned_tasks": facts.version,
        "preprocessing": entry.preprocessing.to_json(),
    }


# What older versions of tfcl have written without a folder of a version.
_OF_SAVED_MODEL = (
    *("assets", "variables", "fingerprint.pb", "saved_model.pb"),
    "keras_metadata.pb",
)


def write_saved_model(
    module: tf.Module,
    signatures: Any,
    final: pathlib.Path,
    version: int,
    about: Mapping[str, str],
) -> pathlib.Path:
    """Writes a SavedModel; it appears under its version when it is complete.

    Servers take the highest number in the folder. Lower ones are removed
    after it, and what older versions of tfcl have left there. All else in the
    folder stays.

    Args:
        module: `tf.Module`.
        signatures: `{name: tf.function}`.
        final: Folder of the model.
        version: Number of the folder in it.
        about: `{name: text}` of files that go into its folder `assets`.

    Returns:
        `final/<version>`.

    Raises:
        RunError: If the disk is full or not writable.
    """
    temporary, made = final / f".{version}.tmp", final / str(version)
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        final.mkdir(parents=True, exist_ok=True)
        with _assets(module, about):
            tf.saved_model.save(module, str(temporary), signatures=signatures)
        shutil.rmtree(made, ignore_errors=True)
        temporary.rename(made)
        _remove_others(final, made)
    except (tf.errors.OpError, OSError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        with contextlib.suppress(OSError):
            final.rmdir()  # If there is no former version.
        raise cannot(
            f"export '{final.name}' to {final.parent}", error
        ) from error
    return made


@contextlib.contextmanager
def _assets(module, about) -> Iterator[None]:
    """Files that a SavedModel copies; they must be there while it is saved."""
    with tempfile.TemporaryDirectory() as folder:
        module.about = []
        for name, text in about.items():
            path = pathlib.Path(folder) / name
            path.write_text(text, encoding="utf-8")
            module.about.append(tf.saved_model.Asset(str(path)))
        yield


def _remove_others(final, made):
    # Alone what an export has written: a user may keep images beside it.
    for path in final.iterdir():
        if path == made or not (
            path.name in _OF_SAVED_MODEL
            or path.name.removeprefix(".").removesuffix(".tmp").isdecimal()
        ):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
