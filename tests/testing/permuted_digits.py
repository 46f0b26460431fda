"""Permuted digits: a benchmark of the papers, as small as a test needs."""

import contextlib
import functools
import tempfile

import keras
import numpy as np
from sklearn import datasets

from tests.testing.running import no_figures
from tfcl.data.preprocessing import Preprocessing
from tfcl.data.split import channel_statistics, standardised
from tfcl.data.task import Task, TaskStream
from tfcl.engine.experiment import Experiment
from tfcl.engine.loop import learn_stream
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.testing import tiny_training

TASKS = 3
_SIZES = (600, 200, 400)


@functools.cache
def _tasks():
    digits = datasets.load_digits()
    draw = np.random.default_rng(0)
    order = draw.permutation(len(digits.target))[: sum(_SIZES)]
    pixels = (digits.data[order] * 15).astype(np.uint8)
    labels = digits.target[order].astype(np.int32)
    tasks = []
    for index in range(TASKS):
        places = draw.permutation(64) if index else np.arange(64)
        images = pixels[:, places].reshape(-1, 8, 8, 1)
        parts = np.split(np.arange(len(order)), np.cumsum(_SIZES)[:-1])
        train = images[parts[0]]
        mean, std = channel_statistics(train)
        tasks.append(
            Task(
                index,
                f"permutation_{index}",
                tuple(map(str, range(10))),
                *(standardised(images[p], labels[p], train) for p in parts),
                Preprocessing((8, 8, 1), tuple(mean), tuple(std)),
                earlier=tuple(tasks),
            )
        )
    return tasks


def permuted_digits(data_dir=None):
    """Three tasks: digits of 8 x 8, their pixels in another order in each."""
    del data_dir
    return TaskStream("permuted_digits", _tasks(), 20)


def two_layers(image_shape):
    """A backbone of one dense layer; a head of one layer comes behind."""
    return keras.Sequential(
        [
            keras.Input(image_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(64, "relu", name="hidden"),
        ]
    )


def training(epochs=8, **kwargs):
    """A `TaskTraining` of it by Adam."""
    settings = {"backbone": two_layers, "hidden_units": (), "dropout": 0.0}
    return tiny_training(
        epochs, **{**settings, "learning_rate": 3e-3, **kwargs}
    )


def accuracy_matrix(folder, method, scenario, stream=permuted_digits):
    """R of the stream, learned in a scenario; `(tasks, tasks)`."""
    run = Experiment(
        folder, method=method, stream=stream, scenario=scenario, exports=False
    )
    with contextlib.closing(run), no_figures():
        run.start({})
        return learn_stream(run)


@functools.cache
def fine_tuned(scenario):
    """R of fine-tuning with the same settings."""
    with tempfile.TemporaryDirectory() as folder:
        return accuracy_matrix(folder, FineTuning(training()), scenario)


def assert_less_forgotten(folder, method, scenario):
    """Half of what fine-tuning forgets at most, and better on average."""
    without = fine_tuned(scenario)
    found = accuracy_matrix(folder, method, scenario)
    assert forgetting(found) < 0.5 * forgetting(without), (found, without)
    assert found[-1].mean() > without[-1].mean() + 0.05, (found, without)


def forgetting(matrix):
    """By how much the first tasks are worse at the end than when learned."""
    return float(np.mean(np.diag(matrix)[:-1] - matrix[-1, :-1]))
