"""All learned tasks as one SavedModel, what they share stored once."""

from __future__ import annotations

import functools
import pathlib
import typing

import tensorflow as tf
from absl import logging

from tfcl.engine.serving.export import (
    ANY_FILES,
    ANY_IMAGES,
    about_method,
    about_task,
    check_takes_images,
    plain_network,
    traced,
    with_answers_of_today,
    write_saved_model,
)
from tfcl.engine.serving.one_pass import OnePass
from tfcl.engine.serving.rejection import check_rejects, labelled
from tfcl.engine.serving.task_by_task import TaskByTask
from tfcl.errors import UserError
from tfcl.files import json_text
from tfcl.methods.protocols import SupportsBundle
from tfcl.models.surgery.task_networks import named_values

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
    a task has no class, and the name of each image's class, `labels` `(n,)`.
    `serve_files(files, tasks)` takes contents of image files, `(n,)`; None if
    the network cannot resize files of different tasks differently.
    `serve_names(images, task_names)` and `serve_files_names(files,
    task_names)` take the tasks' names in place of their numbers, `(n,)`.
    `tasks()` returns the names of the tasks in the order of their numbers,
    `names` `(T,)`.

    Args:
        network: `OnePass` or `TaskByTask`.
        entries: `BankedTask`s in the same order.
        reject_below: See `labelled`.
    """

    def __init__(
        self,
        network: OnePass | TaskByTask,
        entries: Sequence[BankedTask],
        reject_below: float | None = None,
    ):
        super().__init__()
        # Tracked here, once; the network itself is only in the closure.
        self.weights = network.weights
        numbers = tf.TensorSpec((None,), tf.int32, "tasks")
        table = _table(entries)

        def answer(function, inputs, tasks):
            known = tf.debugging.Assert(
                tf.reduce_all((tasks >= 0) & (tasks < len(entries))),
                [f"Task numbers must be 0..{len(entries) - 1}:", tasks],
            )
            with tf.control_dependencies([known]):
                tasks = tf.identity(tasks)
            probabilities, best = function(inputs, tasks)
            names = tf.gather(tf.constant(table), tasks)
            best = tf.gather(names, best, batch_dims=1)
            return {
                "probabilities": probabilities,
                "class_names": names,
                "labels": labelled(best, probabilities, reject_below),
            }

        def served(function, inputs):
            answers = functools.partial(answer, function)
            return traced(answers, inputs, numbers)

        self.serve = served(network.of_images, ANY_IMAGES)
        self.serve_names = _by_name(self.serve, entries, ANY_IMAGES)
        self.serve_files = self.serve_files_names = None
        if network.takes_files:
            self.serve_files = served(network.of_files, ANY_FILES)
            self.serve_files_names = _by_name(
                self.serve_files, entries, ANY_FILES
            )
        self.tasks = tf.function(
            lambda: {"names": tf.constant([e.name for e in entries])},
            input_signature=[],
        )

    @property
    def signatures(self) -> dict[str, Any]:
        """`{name: function}` of the SavedModel."""
        found = {
            "serving_default": self.serve,
            "serving_names": self.serve_names,
            "serving_bytes": self.serve_files,
            "serving_bytes_names": self.serve_files_names,
            "tasks": self.tasks,
        }
        return {name: each for name, each in found.items() if each is not None}


def _by_name(serve, entries, inputs):
    """The same function of tasks' names; the network is stored once."""
    known = [entry.name for entry in entries]

    def answer(inputs, task_names):
        alike = task_names[:, None] == tf.constant(known)[None]
        found = tf.debugging.Assert(
            tf.reduce_all(tf.reduce_any(alike, -1)),
            [f"Task names must be of {', '.join(known)}:", task_names],
        )
        with tf.control_dependencies([found]):
            numbers = tf.argmax(alike, -1, output_type=tf.int32)
        return serve(inputs, numbers)

    names = tf.TensorSpec((None,), tf.string, "task_names")
    return traced(answer, inputs, names)


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
    reject_below: float | None = None,
) -> pathlib.Path:
    """Writes the SavedModel `bundle` of several finished tasks.

    Args:
        method: `Method`, set up, shared variables restored.
        entries: `BankedTask`s; their order gives the tasks' numbers.
        folder: Folder of exports.
        facts: What `model.json` tells besides.
        reject_below: See `labelled`.

    Returns:
        Path of the SavedModel, `folder/bundle/<version>`.

    Raises:
        UserError: If a task is called like the bundle, or its network does
            not take images.
        RunError: If the disk is full or not writable.
    """
    if NAME in [entry.name for entry in entries]:
        raise UserError(
            f"A task is called '{NAME}' like the folder of the SavedModel of "
            "all tasks. Choose another folder (--export_dir) and other tasks "
            "(--task)."
        )
    check_rejects(entries, reject_below)
    for entry in entries:
        check_takes_images(entry, method.spec.image_shape)
        with_answers_of_today(method, entry)
    network = _network(method, entries)
    module = ServedBundle(network, entries, reject_below)
    sizes = {
        "bundle": network.num_bytes,
        "one_by_one": network.separate_bytes or _one_by_one(method, entries),
    }
    about = {
        **about_method(method, reject_below),
        "weights_bytes": sizes,
        # Whether later ones belong into it, too.
        "all_tasks": {e.name for e in entries} == set(facts.accuracies),
        "tasks": [about_task(entry, facts) for entry in entries],
    }
    path = write_saved_model(
        module,
        module.signatures,
        pathlib.Path(folder) / NAME,
        facts.version,
        {"model.json": json_text(about)},
    )
    logging.info(
        "The bundle of %d tasks holds %s of weights; exported one by one they "
        "hold %s.",
        len(entries),
        *map(_told, sizes.values()),
    )
    return path


def _told(num_bytes):
    return f"{num_bytes / 1e6:.3g} MB"


def _network(method, entries):
    if isinstance(method, SupportsBundle):
        found = method.bundle([(e.values, e.index) for e in entries])
        return OnePass(found, entries)
    return TaskByTask(method, entries)


def _one_by_one(method, entries):
    """Bytes of the weights that single exports of the tasks hold."""
    return sum(
        value.nbytes
        for entry in entries
        for _, value in named_values(plain_network(method, entry))
    )
