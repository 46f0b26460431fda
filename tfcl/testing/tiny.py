"""Streams, networks and runs that take a second."""

from __future__ import annotations

import contextlib
import functools
import typing
from unittest import mock

import keras
import tensorflow as tf

from tfcl.data.synthetic import synthetic_stream
from tfcl.engine.experiment import Experiment
from tfcl.engine.loop import learn_stream
from tfcl.methods.task_training import TaskTraining
from tfcl.models.backbones.lasem_cnn import lasem_cnn
from tfcl.optimizers.schedules import Constant

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    import numpy as np

    from tfcl.data.task import TaskStream
    from tfcl.methods.base import Method


def tiny_training(
    epochs: int = 8, learning_rate: float = 0.01, **kwargs: Any
) -> TaskTraining:
    """A `TaskTraining` that learns the synthetic stream in a second.

    Args:
        epochs, learning_rate: Of every task.
        kwargs: Other arguments of `TaskTraining`, in place of its own.
    """
    settings = {
        "backbone": functools.partial(
            lasem_cnn,
            channels=(6, 8),
            kernel_sizes=(3, 3),
            pool_sizes=(2, 2),
        ),
        "hidden_units": (16,),
        "dropout": 0.25,
        "epochs": epochs,
        "schedule": Constant(learning_rate),
        "optimizer": keras.optimizers.Adam,
    }
    return TaskTraining(**{**settings, **kwargs})


def tiny_stream(
    class_counts: Sequence[int] = (2, 2, 2), **kwargs: Any
) -> Callable[..., TaskStream]:
    """Function to a stream of easy tasks of 8 x 8 images with 3 channels.

    Args:
        class_counts: Classes of each task.
        kwargs: Other arguments of `synthetic_stream`.
    """
    settings = {"train_size": 64, "test_size": 32, "batch_size": 16}
    return functools.partial(
        synthetic_stream,
        class_counts=class_counts,
        **{**settings, **kwargs},
    )


def learned(
    folder: str | pathlib.Path,
    method: Method,
    scenario: str | None = None,
    **kwargs: Any,
) -> Experiment:
    """An `Experiment` that has learned a `tiny_stream`, and is closed.

    Args:
        folder: Of the run; one found there goes on.
        method: Not yet set up.
        scenario: As of `Experiment`.
        kwargs: Of `tiny_stream`.
    """
    stream: Any = tiny_stream(**kwargs)
    run = Experiment(
        folder,
        method=method,
        stream=stream,
        scenario=scenario,
        exports=False,
    )
    with contextlib.closing(run), undrawn_figures():
        run.start({})
        learn_stream(run)
    return run


def first_task_logits(run: Experiment) -> np.ndarray:
    """Logits of the first task's test images, by what the bank keeps of it.

    Args:
        run: One that has learned each of its tasks once.
    """
    task = run.stream.tasks[0]
    entry = run.bank.load(0, task.name)
    run.method.activate(entry.values, 0)
    images = entry.preprocessing(tf.constant(task.test.images))
    return run.method.predict(images).numpy()


@contextlib.contextmanager
def undrawn_figures() -> Iterator[None]:
    """Builds figures and reports, but renders no pixel of them.

    That takes half the time of a tiny run.
    """
    drawn = "tfcl.reporting.drawing.png_bytes"
    with mock.patch(drawn, return_value=b"undrawn"):
        yield
