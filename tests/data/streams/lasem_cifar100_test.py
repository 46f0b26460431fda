"""The CIFAR-100 streams of the LASEM line against the published tables."""

import collections

import gin
import numpy as np
import pytest

from tests.testing import image_sets
from tfcl.data.streams.class_split import class_split_stream
from tfcl.data.streams.lasem_cifar100 import (
    LASEM_CIFAR100_CLASSES,
    LASEM_CIFAR100_SIZES,
    lasem_cifar100_stream,
)

# Images per task: train, validation.
_PUBLISHED_SIZES = {
    2: (80, 20),
    4: (170, 30),
    6: (250, 50),
    8: (330, 70),
    10: (410, 90),
    20: (830, 170),
    25: (1040, 210),
    30: (1250, 250),
    40: (1670, 330),
    50: (2080, 420),
    60: (2500, 500),
    70: (2920, 580),
    75: (3120, 630),
    80: (3330, 670),
    90: (3750, 750),
    100: (4170, 830),
}
_FIRST_TEN = [
    [4, 1, 54, 9, 0, 5, 6, 3, 12, 8],
    [30, 32, 62, 10, 51, 20, 7, 42, 17, 13],
    [55, 67, 70, 16, 53, 25, 14, 43, 37, 48],
    [72, 73, 82, 28, 57, 84, 18, 88, 68, 58],
    [95, 91, 92, 61, 83, 94, 24, 97, 76, 90],
    [22, 23, 15, 34, 26, 2, 27, 36, 47, 41],
    [39, 33, 19, 63, 45, 11, 29, 50, 52, 69],
    [40, 49, 21, 64, 77, 35, 44, 65, 56, 81],
    [86, 60, 31, 66, 79, 46, 78, 74, 59, 85],
    [87, 71, 38, 75, 99, 98, 93, 80, 96, 89],
]


# Of the tasks with seed 0, first 12 digits.
_FINGERPRINTS = [
    "5a0c285732a1",
    "4177b459f760",
    "ed6b09db3d3e",
    "b04a3dd89ff7",
    "6126df5812f3",
    "2d999dd994ae",
    "aee482818992",
    "4aa556d0f607",
    "4f0e132f1399",
    "ab754009641d",
]

# As many images per class as the real set.
_CIFAR100 = image_sets.MadeUpSet((1, 1, 3), 100, {"train": 500, "test": 100})


@pytest.fixture
def made_up(monkeypatch):
    image_sets.replace_open_split(monkeypatch, {"cifar100": _CIFAR100})
    yield
    gin.clear_config()


@pytest.mark.parametrize("percent", LASEM_CIFAR100_SIZES)
def test_sizes_are_the_published_ones(made_up, percent):
    stream = lasem_cifar100_stream(data_percent=percent)
    for task in stream:
        sizes = tuple(len(s) for s in (task.train, task.validation, task.test))
        assert sizes == (*_PUBLISHED_SIZES[percent], 1000)
        assert set(np.bincount(task.train.labels)) == {sizes[0] // 10}


def test_every_published_percentage_is_known():
    assert LASEM_CIFAR100_SIZES.keys() == _PUBLISHED_SIZES.keys()


@pytest.mark.parametrize("num_tasks", [10, 20, 40])
def test_classes_come_equally_often_and_once_per_task(made_up, num_tasks):
    lists = LASEM_CIFAR100_CLASSES[num_tasks]
    assert len(lists) == num_tasks
    assert all(len(set(classes)) == 10 for classes in lists)
    counts = collections.Counter(c for classes in lists for c in classes)
    assert counts == dict.fromkeys(range(100), num_tasks // 10)
    stream = lasem_cifar100_stream(num_tasks=num_tasks, data_percent=2)
    assert stream.name == f"cifar100_{num_tasks}"
    for task, classes in zip(stream, lists):
        assert task.class_names == tuple(f"class_{c}" for c in classes)


def test_the_ten_tasks_are_among_the_twenty_and_these_begin_the_forty():
    ten, twenty, forty = (LASEM_CIFAR100_CLASSES[n] for n in (10, 20, 40))
    assert set(ten) <= set(twenty)
    assert forty[:20] == twenty
    assert len(set(forty)) == 40


def _explicit(**kwargs):
    """The ten tasks, 4 % of the data, spelt out."""
    return class_split_stream(
        "cifar100",
        batch_size=10,
        task_classes=_FIRST_TEN,
        name="cifar100_10",
        train_per_class=17,
        validation_per_class=3,
        validation_fraction=0.16666666666666666,
        statistics="split",
        **kwargs,
    )


def _same(one, other):
    assert one.spec() == other.spec()
    assert [t.fingerprint() for t in one] == [t.fingerprint() for t in other]


def test_ten_tasks_are_bit_for_bit_those_of_the_explicit_list(made_up):
    for seed in (0, 3):
        _same(lasem_cifar100_stream(data_seed=seed), _explicit(data_seed=seed))


def test_the_real_ten_tasks_keep_their_fingerprints():
    folder = image_sets.folder_of_real("cifar100/3.0.2")
    stream = lasem_cifar100_stream(data_dir=folder)
    # So that results on this stream stay comparable.
    assert [task.fingerprint()[:12] for task in stream] == _FINGERPRINTS
    assert stream.spec().task_names == tuple(f"task_{i:02d}" for i in range(10))


def test_what_class_split_takes_besides_can_be_bound(made_up):
    gin.bind_parameter("class_split_stream.num_tasks", 3)
    stream = lasem_cifar100_stream()
    assert len(stream) == 3
    assert stream.name == "cifar100_10"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_tasks": 5}, "`num_tasks`.*10, 20 or 40;.*num_tasks=5"),
        ({"data_percent": 3}, "`data_percent`.*2, 4, 6, 8.*data_percent=3"),
        ({"data_percent": 0.04}, "90 or 100; for others use.*=0.04"),
        ({"statistics": "test"}, "'split' or 'none'"),
    ],
)
def test_unknown_values_are_answered_with_the_known(made_up, change, message):
    with pytest.raises(ValueError, match=message):
        lasem_cifar100_stream(**change)
