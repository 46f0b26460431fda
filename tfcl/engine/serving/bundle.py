"""All learned tasks as one SavedModel, what they share stored once."""

from __future__ import annotations

import pathlib
import typing

import numpy as np
import tensorflow as tf

from tfcl.data.preprocessing import grey_levels
from tfcl.engine.serving.export import (
    ANY_FILES,
    ANY_IMAGES,
    about_method,
    about_task,
    check_takes_images,
    traced,
    write_saved_model,
)
from tfcl.engine.serving.image_bytes import decoded
from tfcl.errors import UserError
from tfcl.files import json_text
from tfcl.methods.protocols import SupportsBundle

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.engine.serving.served_facts import ServedFacts
    from tfcl.engine.storage.bank import BankedTask
    from tfcl.methods.base import Method


NAME = "bundle"


class ServedBundle(tf.Module):
    """Images and the number of each one's task in, named classes out.

    `serve(images, tasks)` takes uint8 `(n, height, width, 1, 3 or 4
    channels)` of any size and int32 `(n,)`; the images of a batch may
    belong to different tasks. It returns `probabilities` `(n, C)` float32, C
    being the classes of the widest task, `class_names` `(n, C)`, empty where
    a task has no class, and the most probable name of each, `labels` `(n,)`.
    `serve_files(files, tasks)` takes contents of image files, `(n,)`, of
    tasks that resize alike.
    `tasks()` returns the names of the tasks in the order of their numbers,
    `names` `(T,)`.

    Args:
        network: What `SupportsBundle.bundle` returns.
        entries: `BankedTask`s in the same order.
    """

    def __init__(self, network: Any, entries: Sequence[BankedTask]):
        super().__init__()
        # Tracked here, once; the network itself is only in the closure.
        self.weights = [weight.value for weight in network.weights]
        numbers = tf.TensorSpec((None,), tf.int32, "tasks")
        preprocessing = _Preprocessing([e.preprocessing for e in entries])
        table = _table(entries)

        def serve(images, tasks):
            known = tf.debugging.Assert(
                tf.reduce_all((tasks >= 0) & (tasks < len(entries))),
                [f"Task numbers must be 0..{len(entries) - 1}:", tasks],
            )
            with tf.control_dependencies([known]):
                tasks = tf.identity(tasks)
            logits = network(preprocessing(images, tasks), tasks)
            # The stream may have wider tasks than these.
            logits = logits[:, : len(table[0])]
            names = tf.gather(tf.constant(table), tasks)
            best = tf.argmax(logits, axis=-1)
            return {
                "probabilities": tf.nn.softmax(tf.cast(logits, tf.float32)),
                "class_names": names,
                "labels": tf.gather(names, best, batch_dims=1),
            }

        self.serve = served = traced(serve, ANY_IMAGES, numbers)
        self.serve_files = None
        if len({entry.preprocessing.resize for entry in entries}) == 1:
            first = entries[0].preprocessing
            self.serve_files = traced(
                lambda files, tasks: served(decoded(files, first), tasks),
                ANY_FILES,
                numbers,
            )
        self.tasks = tf.function(
            lambda: {"names": tf.constant([e.name for e in entries])},
            input_signature=[],
        )

    @property
    def signatures(self) -> dict[str, Any]:
        """`{name: function}` of the SavedModel."""
        found = {"serving_default": self.serve, "tasks": self.tasks}
        if self.serve_files is not None:
            found["serving_bytes"] = self.serve_files
        return found


class _Preprocessing:
    """Each image by the preprocessing of its task."""

    def __init__(self, rules):
        shapes = {rule.image_shape for rule in rules}
        if len(shapes) > 1:
            raise UserError(
                "Only tasks with images of one shape make a bundle; these "
                f"have {sorted(shapes)}. Choose some of them by --task."
            )
        (self._shape,) = shapes
        self._resizes = list(dict.fromkeys(rule.resize for rule in rules))
        self._which = [self._resizes.index(rule.resize) for rule in rules]
        self._mean, self._std = (
            np.array([getattr(rule, key) for rule in rules], np.float32)
            for key in ("mean", "std")
        )

    def __call__(self, images, tasks):
        pixels = grey_levels(images, self._shape, self._resizes[0])
        which = tf.gather(tf.constant(self._which), tasks)
        for number, resize in enumerate(self._resizes[1:], 1):
            other = grey_levels(images, self._shape, resize)
            mine = (which == number)[:, None, None, None]
            pixels = tf.where(mine, other, pixels)
        mean, std = (
            tf.gather(tf.constant(rows), tasks)[:, None, None]
            for rows in (self._mean, self._std)
        )
        # The order of operations of `Preprocessing`.
        return (pixels * tf.constant(1.0 / 255.0, tf.float32) - mean) / std


def _table(entries):
    """Class names `(tasks, classes of the widest)`, filled with ""."""
    widest = max(len(entry.class_names) for entry in entries)
    return [
        [*entry.class_names, *[""] * (widest - len(entry.class_names))]
        for entry in entries
    ]


def export_bundle(
    method: Method,
    entries: Sequence[BankedTask],
    folder: str | pathlib.Path,
    facts: ServedFacts,
) -> pathlib.Path:
    """Writes the SavedModel `bundle` of several finished tasks.

    Args:
        method: `Method`, set up, shared variables restored.
        entries: `BankedTask`s; their order gives the tasks' numbers.
        folder: Folder of exports.
        facts: What `model.json` tells besides.

    Returns:
        Path of the SavedModel, `folder/bundle/<version>`.

    Raises:
        UserError: If the method does not support bundles, or the tasks'
            images have different shapes.
        RunError: If the disk is full or not writable.
    """
    if NAME in [entry.name for entry in entries]:
        raise UserError(
            f"A task is called '{NAME}' like the folder of the SavedModel of "
            "all tasks. Choose another folder (--export_dir) and other tasks "
            "(--task)."
        )
    if not isinstance(method, SupportsBundle):
        raise UserError(
            f"{method.name} makes no bundle, whether its tasks share a network "
            "or not: a bundle needs a method that says how one pass serves "
            "images of several tasks (SupportsBundle; here CLR). Export the "
            "tasks one by one, without --bundle."
        )
    network = method.bundle([(e.values, e.index) for e in entries])
    module = ServedBundle(network, entries)
    for entry in entries:
        check_takes_images(entry, method.spec.image_shape)
    tasks = [about_task(entry, facts) for entry in entries]
    about = {"model.json": json_text({**about_method(method), "tasks": tasks})}
    final = pathlib.Path(folder) / NAME
    return write_saved_model(
        module, module.signatures, final, facts.version, about
    )
