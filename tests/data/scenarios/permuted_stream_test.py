"""Domains whose images have their pixels in other orders."""

import functools

import numpy as np
import pytest

from tests.testing import image_sets, toy_run
from tfcl.data.lazy_images import CachedImages, LazyImages, MemoryLimits
from tfcl.data.scenario import DOMAIN, announced_to
from tfcl.data.scenarios.in_scenario import in_scenario
from tfcl.data.scenarios.permuted_stream import permuted_stream
from tfcl.data.scenarios.rotated_stream import rotated_stream
from tfcl.data.streams.dataset_stream import dataset_stream
from tfcl.data.training_crops import RandomPlaceCrop
from tfcl.methods import FineTuning
from tfcl.testing import tiny_training

_SETS = {
    "mnist": image_sets.MadeUpSet((6, 5, 1), 3, {"train": 12, "test": 4}),
    "cifar10": image_sets.MadeUpSet((6, 5, 3), 3, {"train": 12, "test": 4}),
    # As many images as one part of a long set.
    "svhn_cropped": image_sets.MadeUpSet(
        (4, 4, 1), 2, {"train": 700, "test": 4}
    ),
}


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    image_sets.replace_open_split(monkeypatch, _SETS)


def _inner(*datasets, **kwargs):
    settings = {"image_size": 6, "batch_size": 4, "channels": 1}
    return functools.partial(
        dataset_stream, list(datasets), **{**settings, **kwargs}
    )


def _make(num_tasks=3, inner=None, **kwargs):
    return permuted_stream(inner or _inner("mnist"), num_tasks, **kwargs)


def _pixels(images):
    """One row of pixels per image, channels together."""
    return np.asarray(images[:]).reshape(len(images), -1, images.shape[-1])


def _digests(stream):
    return [task.fingerprint() for task in stream]


def test_all_tasks_have_the_same_images_and_classes():
    heard = []
    with announced_to(lambda *told: heard.append(told)):
        stream = _make(4)
    assert heard == [(DOMAIN, "permuted_stream")]
    assert (stream.name, stream.scenario) == ("permuted_mnist_4", DOMAIN)
    assert [task.name for task in stream][::3] == ["mnist_00", "mnist_03"]
    assert [len(task.earlier) for task in stream] == [0, 1, 2, 3]
    first = stream.tasks[0]
    for task in stream:
        assert task.class_names == first.class_names
        assert task.preprocessing == first.preprocessing
        for name, split in task.splits.items():
            own = first.splits[name]
            np.testing.assert_array_equal(split.labels, own.labels)
            np.testing.assert_array_equal(split.mean, own.mean)
            # The same pixels, in whatever order.
            np.testing.assert_array_equal(
                np.sort(_pixels(split.images), axis=1),
                np.sort(_pixels(own.images), axis=1),
            )


def test_the_order_is_one_for_all_images_of_a_task():
    stream = _make()
    first = stream.tasks[0].splits
    orders = set()
    for task in stream.tasks[1:]:
        # Where each pixel of the largest split has gone, by its values.
        before = _pixels(first["train"].images)[..., 0]
        after = _pixels(task.train.images)[..., 0]
        order = [
            int(np.flatnonzero((before.T == values).all(axis=1))[0])
            for values in after.T
        ]
        assert sorted(order) == list(range(36))
        for name, split in task.splits.items():
            np.testing.assert_array_equal(
                _pixels(split.images), _pixels(first[name].images)[:, order]
            )
        orders.add(tuple(order))
    assert len(orders) == 2 and tuple(range(36)) not in orders


def test_channels_of_a_pixel_stay_together():
    stream = _make(2, _inner("cifar10", channels=3))
    first, second = (_pixels(task.train.images) for task in stream)
    wanted = {values.tobytes() for values in first[0]}
    assert {values.tobytes() for values in second[0]} == wanted
    assert not np.array_equal(first[0], second[0])


def test_the_first_task_is_permuted_if_asked_for():
    plain = _inner("mnist")().tasks[0]
    first = _make().tasks[0]
    np.testing.assert_array_equal(first.train.images[:], plain.train.images[:])
    permuted = _make(first_permuted=True)
    other = permuted.tasks[0]
    assert not np.array_equal(other.train.images[:], plain.train.images[:])
    # The other tasks are those that they are anyway.
    assert _digests(permuted)[1:] == _digests(_make())[1:]


def test_seeds_and_longer_streams():
    digests = _digests(_make())
    assert len(set(digests)) == 3
    assert _digests(_make()) == digests
    assert _digests(_make(5))[:3] == digests
    other = _digests(_make(seed=1))
    assert other[0] == digests[0] and not {*other[1:]} & {*digests[1:]}


def test_images_are_there_once():
    stream = _make(3)
    assert isinstance(stream.tasks[0].train.images, np.ndarray)
    for task in stream.tasks[1:]:
        assert isinstance(task.train.images, CachedImages)
    few = MemoryLimits(task=0)
    small = _make(2, memory=few)
    assert type(small.tasks[1].train.images) is LazyImages
    np.testing.assert_array_equal(
        small.tasks[1].train.images[:], stream.tasks[1].train.images[:]
    )
    assert _digests(small) == _digests(stream)[:2]


def test_some_images_are_those_of_all():
    stream = _make(2, _inner("svhn_cropped", image_size=4))
    split = stream.tasks[1].train
    assert len(split) > 1024
    rows = np.array([1100, 2, 2, 1030])
    taken = split.taken(rows)
    np.testing.assert_array_equal(taken.images[:], split.images[rows])
    np.testing.assert_array_equal(taken.labels, split.labels[rows])
    same = split.taken(np.arange(len(split)))
    assert same.digest() == split.digest() != taken.digest()


def test_domains_can_be_seen_as_tasks_and_as_classes():
    known = in_scenario("task", lambda data_dir: _make(2))
    assert known.scenario == "task"
    classes = in_scenario("class", lambda data_dir: _make(2))
    assert classes.tasks[0].num_classes == 6


def test_a_run_learns_it(tmp_path):
    run = toy_run.learn(tmp_path, FineTuning(tiny_training(1)), _make).run
    results = run.results()
    assert results["scenario"] == DOMAIN
    assert len(results["accuracy_matrix"]) == 3


@pytest.mark.parametrize("factory", [permuted_stream, rotated_stream])
def test_other_streams_are_refused(factory):
    with pytest.raises(ValueError, match="one task.*2 visits of 2 tasks"):
        factory(_inner("mnist", "cifar10"), 2)
    crop = RandomPlaceCrop(side=7)
    with pytest.raises(ValueError, match="without `train_crop`"):
        factory(_inner("mnist", train_crop=crop), 2)
    with pytest.raises(ValueError, match="`num_tasks`.*num_tasks=0"):
        factory(toy_run.toy_stream((2,)), 0)
