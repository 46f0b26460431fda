"""Splits that are decoded window by window train like those in memory."""

import dataclasses
import functools
import hashlib

import numpy as np
import pytest

from tests.testing import toy_run
from tfcl.data.lazy_images import LazyImages
from tfcl.data.task import TaskStream
from tfcl.data.training_crops import (
    CroppedImages,
    RandomAreaCrop,
    example_seeds,
)
from tfcl.engine.resident import ResidentSplit
from tfcl.engine.runtime import Runtime
from tfcl.engine.storage.checkpoints import CheckpointPolicy
from tfcl.methods.baselines.joint import Joint
from tfcl.methods.lasem.lasem import LASEM
from tfcl.methods.regularization.ewc import EWC


class Source:
    """Images in an array that are handed out when asked for."""

    def __init__(self, images):
        self._images = images
        self.image_shape = images.shape[1:]
        self.largest = 0

    def __len__(self):
        return len(self._images)

    def images(self, indices):
        self.largest = max(self.largest, len(indices))
        return self._images[indices]

    def digest(self, indices):
        return hashlib.sha256(self._images[indices].tobytes()).hexdigest()


def _lazy(split):
    images = LazyImages(Source(split.images), np.arange(len(split)))
    return dataclasses.replace(split, images=images)


def _lazy_stream(data_dir=None):
    stream = toy_run.toy_stream((2, 3))(data_dir=data_dir)
    tasks = []
    for task in stream:
        splits = {
            name: _lazy(getattr(task, name))
            for name in ("train", "validation", "test")
        }
        tasks.append(dataclasses.replace(task, **splits, earlier=tuple(tasks)))
    return TaskStream(stream.name, tasks, stream.batch_size)


# Three batches of 16 images of 8 x 8 x 3.
_WINDOW = 3 * 16 * 192
_SMALL = functools.partial(Runtime, window=_WINDOW)


def _methods():
    training = toy_run.toy_training
    return {
        "ewc": lambda: EWC(training(drop_remainder=False)),
        "joint": lambda: Joint(training()),
        "lasem": lambda: LASEM(training()),
    }


@pytest.mark.parametrize("name", _methods())
def test_a_streamed_run_equals_one_in_memory(tmp_path, name):
    make = _methods()[name]
    with toy_run.no_figures():
        wanted = toy_run.learn(
            tmp_path / "memory", make(), toy_run.toy_stream((2, 3))
        )
        found = toy_run.learn(
            tmp_path / "streamed", make(), _lazy_stream, runtime=_SMALL()
        )
    assert found.csv == wanted.csv
    for key, value in wanted.variables.items():
        assert found.variables[key].tobytes() == value.tobytes(), key
    assert found.run.runner.traces == wanted.run.runner.traces
    for task in found.run.stream:
        assert 0 < task.train.images._source.largest <= 48


def test_kills_change_nothing(tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path,
        toy_run.toy_hps,
        moments=3,
        stream=_lazy_stream,
        runtime=_SMALL(),
    )


@pytest.mark.parametrize(("first", "last"), [(0, 4), (1, 3), (3, 4)])
def test_every_window_holds_its_batches(first, last):
    split = _lazy_stream().tasks[0].train
    order = np.random.default_rng(0).permutation(len(split)).astype(np.int32)
    place = ResidentSplit(split.image_shape, np.uint8, _WINDOW)
    batches = []
    for local, begin, end in place.windows(split, order, first, last, 16):
        for batch in range(begin, end):
            rows = local[batch * 16 : (batch + 1) * 16]
            batches.append(place.gather(rows)[1].numpy())
    wanted = split.labels[order[first * 16 : last * 16]]
    np.testing.assert_array_equal(np.concatenate(batches), wanted)


def test_a_source_that_fails_stops_the_run_with_its_own_error(
    tmp_path, monkeypatch
):
    def broken(self, indices):
        raise OSError("disk gone")

    monkeypatch.setattr(Source, "images", broken)
    with pytest.raises(OSError, match="disk gone"), toy_run.no_figures():
        toy_run.learn(tmp_path, toy_run.toy_hps(), _lazy_stream)


# Random parts of images, see tfcl.data.training_crops


class PartSource(Source):
    """Images whose random parts are the seeds', to be told apart."""

    def parts(self, indices, crop, seeds):
        assert isinstance(crop, RandomAreaCrop)
        self.largest = max(self.largest, len(indices))
        noise = (seeds.sum(1) & 0x3F).astype(np.uint8)
        return self._images[indices] ^ noise[:, None, None, None]


def _cropped(split):
    source = PartSource(split.images)
    rows = np.arange(len(split))
    images = CroppedImages(split.images, source, rows, RandomAreaCrop())
    return dataclasses.replace(split, images=images)


def _cropped_stream(data_dir=None):
    stream = toy_run.toy_stream((2, 3))(data_dir=data_dir)
    tasks = []
    for task in stream:
        train = _cropped(task.train)
        tasks.append(
            dataclasses.replace(task, train=train, earlier=tuple(tasks))
        )
    return TaskStream(stream.name, tasks, stream.batch_size)


def test_kills_change_nothing_where_training_sees_random_parts(tmp_path):
    found = toy_run.assert_kills_change_nothing(
        tmp_path, toy_run.toy_hps, moments=3, stream=_cropped_stream
    )
    for task in found.run.stream:
        assert 0 < task.train.images._source.largest <= 48


@pytest.mark.parametrize("name", ["joint", "lasem"])
def test_random_parts_do_not_depend_on_windows_and_calls(tmp_path, name):
    make = _methods()[name]
    with toy_run.no_figures():
        whole = toy_run.learn(tmp_path / "whole", make(), _lazy_stream)
        wanted = toy_run.learn(tmp_path / "one", make(), _cropped_stream)
        found = toy_run.learn(
            tmp_path / "two",
            make(),
            _cropped_stream,
            checkpoints=CheckpointPolicy(steps_per_call=3),
            runtime=Runtime(window=16 * 192),
        )
    for key, value in wanted.variables.items():
        assert found.variables[key].tobytes() == value.tobytes(), key
    # Training has seen them at all.
    assert any(
        whole.variables[key].tobytes() != value.tobytes()
        for key, value in wanted.variables.items()
    )


def test_a_part_is_drawn_from_the_place_of_its_example_in_the_epoch():
    split = _cropped(toy_run.toy_stream((2, 3))().tasks[0].train)
    split = dataclasses.replace(split, mean=[[0.0] * 3], std=[[1.0] * 3])
    order = np.random.default_rng(0).permutation(len(split)).astype(np.int32)
    place = ResidentSplit(split.image_shape, np.uint8)
    for seed in (np.int32([5, 6]), np.int32([5, 7]), None):
        found = []
        for local, begin, end in place.windows(split, order, 0, 4, 16, seed):
            rows = local[begin * 16 : end * 16]
            found.append(place.gather(rows)[0].numpy() * 255.0)
        wanted = split.images[order]
        if seed is not None:
            seeds = example_seeds(seed, np.arange(len(order)))
            wanted = split.images.drawn(order, seeds)
        np.testing.assert_allclose(np.concatenate(found), wanted, atol=1e-3)


def test_measurements_and_sums_see_the_whole_image(tmp_path, monkeypatch):
    drawn = []
    parts = PartSource.parts

    def noting(self, indices, crop, seeds):
        drawn.append(len(indices))
        return parts(self, indices, crop, seeds)

    monkeypatch.setattr(PartSource, "parts", noting)
    # Its Fisher information is summed over the training images.
    with toy_run.no_figures():
        toy_run.learn(tmp_path, EWC(toy_run.toy_training()), _cropped_stream)
    # Two epochs of two tasks, and nothing else.
    assert sum(drawn) == 2 * 2 * 64
