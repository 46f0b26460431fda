"""Few training images of most classes."""

import numpy as np
import pytest

from tests.testing import image_sets
from tfcl.data.streams.class_split import class_split_stream
from tfcl.data.streams.long_tail import LongTail

_SETS = {
    "cifar10": image_sets.MadeUpSet((4, 4, 3), 10, {"train": 60, "test": 7}),
}


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    image_sets.replace_open_split(monkeypatch, _SETS)


def _stream(long_tailed=None, **kwargs):
    return class_split_stream(
        "cifar10", 4, num_tasks=5, long_tailed=long_tailed, **kwargs
    )


def _counts(stream, split="train"):
    return [
        int(count)
        for task in stream
        for count in np.bincount(task.splits[split].labels)
    ]


def test_counts_are_those_of_the_paper():
    # 500 images, imbalance factor 100, of CIFAR-100.
    found = LongTail(0.01).counts([500] * 100)
    wanted = [int(500 * 0.01 ** (c / 99)) for c in range(100)]
    assert found == wanted
    assert (found[0], found[-1]) == (500, 5)
    assert LongTail(1.0).counts([7, 7]) == [7, 7]
    assert LongTail(0.001).counts([9, 9, 9]) == [9, 1, 1]
    assert LongTail(0.5).counts([8]) == [8]


def test_no_class_gets_more_than_it_has():
    assert LongTail(0.5).counts([8, 2, 8]) == [8, 2, 4]


def test_classes_get_smaller_in_the_order_of_the_stream():
    wanted = [int(50 * 0.1 ** (c / 9)) for c in range(10)]
    stream = _stream(LongTail(0.1))
    assert _counts(stream) == wanted
    # Not in that of the set.
    mixed = _stream(LongTail(0.1), class_order=3)
    assert _counts(mixed) == wanted
    assert mixed.tasks[0].class_names != stream.tasks[0].class_names


def test_validation_and_test_images_stay():
    plain, tailed = _stream(), _stream(LongTail(0.1))
    for one, other in zip(plain, tailed):
        for split in ("validation", "test"):
            assert one.splits[split].labels.tolist() == (
                other.splits[split].labels.tolist()
            )
            np.testing.assert_array_equal(
                one.splits[split].images, other.splits[split].images
            )


def test_those_that_are_kept_are_the_first():
    for one, other in zip(_stream(), _stream(LongTail(0.1))):
        for label in (0, 1):
            mine = other.train.images[other.train.labels == label]
            theirs = one.train.images[one.train.labels == label]
            np.testing.assert_array_equal(mine, theirs[: len(mine)])


def test_places_can_be_drawn():
    ordered = _counts(_stream(LongTail(0.1)))
    drawn = [
        _counts(_stream(LongTail(0.1, shuffled=True, seed=seed)))
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1]
    assert len({tuple(each) for each in (ordered, drawn[0], drawn[2])}) == 3
    assert all(sorted(each) == sorted(ordered) for each in drawn)


def test_it_is_another_stream():
    digests = [
        [task.fingerprint() for task in _stream(tail)]
        for tail in (None, LongTail(0.1), LongTail(0.1), LongTail(0.2))
    ]
    assert digests[1] == digests[2]
    # The first class has all its images, whatever comes behind.
    assert len({each[-1] for each in digests}) == 3


def test_fewer_images_to_begin_with():
    assert _counts(_stream(LongTail(0.1), train_per_class=20)) == [
        int(20 * 0.1 ** (c / 9)) for c in range(10)
    ]


@pytest.mark.parametrize("ratio", [0.0, 1.5, -1])
def test_ratios_out_of_range_are_refused(ratio):
    with pytest.raises(ValueError, match=rf"`ratio`.*in \(0, 1\].*={ratio}"):
        LongTail(ratio)
