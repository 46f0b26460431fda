"""Every stream of a data set keeps to `MemoryLimits`, with the same images."""

import functools
import inspect

import numpy as np
import pytest

from tests.testing import image_sets
from tfcl.data.lazy_images import (
    CachedImages,
    HeldTasks,
    LazyImages,
    MemoryLimits,
)
from tfcl.data.sources import tfds_source
from tfcl.data.streams.binary_stream import binary_stream
from tfcl.data.streams.class_split import class_split_stream
from tfcl.data.streams.dataset_stream import dataset_stream
from tfcl.data.streams.folder_stream import folder_stream
from tfcl.data.streams.lasem_cifar100 import lasem_cifar100_stream
from tfcl.data.streams.office_home import office_home_stream
from tfcl.data.streams.omniglot import omniglot_stream
from tfcl.data.streams.spg_sequences import spg_sequence
from tfcl.data.streams.stl10 import stl10_stream
from tfcl.data_builders.office_home.office_home_dataset_builder import (
    CLASS_NAMES,
)

_EVERY = (
    *(binary_stream, class_split_stream, dataset_stream, folder_stream),
    *(lasem_cifar100_stream, office_home_stream, omniglot_stream),
    *(spg_sequence, stl10_stream),
)
_LETTERS = tuple(f"{name}_{k:02d}" for name in ("A", "B") for k in range(3))
_SETS = {
    "mnist": image_sets.MadeUpSet(
        (2, 2, 1), tuple("0123456789"), {"train": 700, "test": 1000}
    ),
    "cifar100": image_sets.MadeUpSet(
        (3, 3, 3), 100, {"train": 60, "test": 100}
    ),
    "stl10": image_sets.MadeUpSet((3, 2, 3), 10, {"train": 500, "test": 120}),
    "omniglot": image_sets.MadeUpSet((4, 4, 1), _LETTERS, {"train": 20}),
    "office_home_product": image_sets.MadeUpSet(
        (4, 4, 3), CLASS_NAMES, {"train": 20}
    ),
    "office_home_real_world": image_sets.MadeUpSet(
        (4, 4, 3), CLASS_NAMES, {"train": 20}
    ),
}
_MAKERS = {
    "binary": functools.partial(
        binary_stream, "mnist", "pairs", 1, batch_size=4
    ),
    "lasem": functools.partial(lasem_cifar100_stream, 10, 2),
    "office_home": functools.partial(office_home_stream, image_size=4),
    "omniglot": functools.partial(omniglot_stream, image_size=4),
    "spg": functools.partial(
        spg_sequence, "cifar100_10", per_class=(4, 2, 3), num_tasks=4
    ),
    "stl10": functools.partial(stl10_stream, 4),
    "class_split": functools.partial(
        class_split_stream, "stl10", 4, num_tasks=5
    ),
    "datasets": functools.partial(dataset_stream, ["stl10", "cifar100"], 3, 4),
}
_SPLITS = ("train", "validation", "test")


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    image_sets.replace_open_split(monkeypatch, _SETS)


def _images(stream):
    return [getattr(task, split).images for task in stream for split in _SPLITS]


@pytest.mark.parametrize("name", sorted(_MAKERS))
@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        (MemoryLimits(stream=0), CachedImages),
        (MemoryLimits(task=0), LazyImages),
        (MemoryLimits(task=4000, stream=1), None),
    ],
    ids=["stream", "task", "both"],
)
def test_images_are_the_same_wherever_they_wait(name, limits, kind):
    wanted = _MAKERS[name]()
    found = _MAKERS[name](memory=limits)
    for one, other in zip(_images(wanted), _images(found), strict=True):
        assert isinstance(one, np.ndarray)
        if kind is not None:
            assert type(other) is kind
        np.testing.assert_array_equal(other[:], one)
        some = np.array([len(one) - 1, 0, len(one) // 2])
        np.testing.assert_array_equal(other[some], one[some])
    for task, same in zip(wanted, found):
        assert task.train.mean.tolist() == same.train.mean.tolist()


@pytest.mark.parametrize("name", sorted(_MAKERS))
def test_tasks_after_the_limit_wait(name):
    first, *rest = _MAKERS[name](memory=MemoryLimits(stream=1))
    for split in _SPLITS:
        assert isinstance(getattr(first, split).images, np.ndarray)
        for task in rest:
            assert isinstance(getattr(task, split).images, CachedImages)


@pytest.mark.parametrize("name", sorted(_MAKERS))
def test_limits_reach_the_files_of_the_set(name, monkeypatch):
    seen, opened = [], tfds_source.open_split

    def noted(*args, memory=None, **kwargs):
        seen.append(memory)
        return opened(*args, **kwargs)

    monkeypatch.setattr(tfds_source, "open_split", noted)
    limits = MemoryLimits(encoded=5)
    _MAKERS[name](memory=limits)
    assert seen and all(each == limits for each in seen)


def test_every_stream_of_images_takes_limits():
    for make in _EVERY:
        assert "memory" in inspect.signature(make).parameters, make


def test_lazy_images_with_noise_tell_tasks_apart():
    lazy = _MAKERS["stl10"](memory=MemoryLimits(task=0))
    again = _MAKERS["stl10"](memory=MemoryLimits(task=0))
    found = [task.fingerprint() for task in lazy]
    assert found == [task.fingerprint() for task in again]
    assert len(set(found)) == len(found)


def test_what_is_held_is_counted_task_by_task():
    held = HeldTasks(MemoryLimits(task=7, stream=10))
    splits = [(np.zeros((2, 1, 1, 3), np.uint8), None)]
    assert held.next() == (True, 7)
    assert held.add(splits) is splits
    assert held.next() == (True, 7)
    held.add(splits)
    assert held.next() == (False, 7)
    assert held.next(holds=False) == (False, -1)
