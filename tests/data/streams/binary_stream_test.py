"""Two-class tasks out of MNIST and CIFAR-10."""

import numpy as np
import pytest

from tests.testing import image_sets
from tfcl.data.sources import tfds_source
from tfcl.data.streams.binary_stream import BINARY_SIZES, binary_stream
from tfcl.errors import UserError

# Images of each digit in the real set.
_MNIST_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
_MNIST_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
_SETS = {
    "mnist": image_sets.MadeUpSet(
        (1, 2, 1),
        tuple("0123456789"),
        {"train": _MNIST_TRAIN, "test": _MNIST_TEST},
    ),
    "cifar10": image_sets.MadeUpSet(
        (1, 1, 3), 10, {"train": 5000, "test": 1000}
    ),
}


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    image_sets.replace_open_split(monkeypatch, _SETS)


def _make(dataset="mnist", kind="pairs", data_percent=10, **kwargs):
    return binary_stream(dataset, kind, data_percent, batch_size=10, **kwargs)


@pytest.mark.parametrize(
    ("dataset", "kind", "percent"),
    [
        (dataset, kind, percent)
        for (dataset, kind), (table, _) in BINARY_SIZES.items()
        for percent in (min(table), 10, max(table))
    ],
)
def test_sizes_are_the_published_ones(dataset, kind, percent):
    stream = _make(dataset, kind, percent)
    table, test = BINARY_SIZES[dataset, kind]
    for task in stream:
        for split, size in (
            (task.train, table[percent][0]),
            (task.validation, table[percent][1]),
        ):
            assert np.bincount(split.labels).tolist() == [size // 2] * 2
        assert len(task.test) == test


def test_the_tables_hold_what_is_published():
    def sizes(dataset, kind):
        return BINARY_SIZES[dataset, kind][0]

    assert sizes("mnist", "pairs")[1] == (100, 20)
    assert sizes("mnist", "pairs")[90] == (9000, 1000)
    assert sizes("mnist", "one_vs_rest")[7] == (700, 70)
    assert sizes("cifar10", "pairs")[4] == (340, 60)
    assert sizes("cifar10", "one_vs_rest")[100] == (8330, 1670)


@pytest.mark.parametrize(
    ("dataset", "kind", "name"),
    [
        ("mnist", "pairs", "mnist5"),
        ("mnist", "one_vs_rest", "mnist10"),
        ("cifar10", "pairs", "cifar10_5"),
        ("cifar10", "one_vs_rest", "cifar10_10"),
    ],
)
def test_streams_have_the_published_names(dataset, kind, name):
    assert _make(dataset, kind).name == name


def _members(name, split, label):
    """Images of one class of a made-up set, as bytes."""
    source = tfds_source.open_split(name, split)
    pool = source.images(np.flatnonzero(source.labels == label))
    return {image.tobytes() for image in pool}


def _keys(images):
    return {image.tobytes() for image in images}


def test_in_pairs_the_first_class_has_label_one(monkeypatch):
    large = {
        "cifar10": image_sets.MadeUpSet(
            (4, 4, 3), 10, {"train": 5000, "test": 1000}
        )
    }
    image_sets.replace_open_split(monkeypatch, large)
    task = _make("cifar10").tasks[2]
    assert task.name == "class_4_vs_class_5"
    assert task.class_names == ("class_5", "class_4")
    for split, source in ((task.train, "train"), (task.test, "test")):
        for local, label in ((1, 4), (0, 5)):
            mine = _keys(split.images[split.labels == local])
            assert mine <= _members("cifar10", source, label)


def test_negatives_come_from_the_images_that_are_positives_elsewhere(
    monkeypatch,
):
    large = {
        "cifar10": image_sets.MadeUpSet(
            (4, 4, 3), 10, {"train": 5000, "test": 1000}
        )
    }
    image_sets.replace_open_split(monkeypatch, large)
    stream = _make("cifar10", "one_vs_rest")
    assert stream.tasks[3].name == "class_3_vs_rest"
    assert stream.tasks[3].class_names == ("not_class_3", "class_3")
    for split in ("train", "validation"):
        positives = [
            _keys(s.images[s.labels == 1])
            for s in (getattr(task, split) for task in stream)
        ]
        for index, task in enumerate(stream):
            mine = getattr(task, split)
            negatives = _keys(mine.images[mine.labels == 0])
            others = positives[:index] + positives[index + 1 :]
            assert negatives <= set().union(*others)
            # Of all nine classes.
            assert all(negatives & other for other in others)


def test_a_class_too_small_for_a_half_is_filled_up():
    pairs = [np.bincount(t.test.labels) for t in _make()]
    assert [c.tolist() for c in pairs] == [
        [900, 900],
        [900, 900],
        [892, 908],  # digit 5 has 892
        [900, 900],
        [900, 900],
    ]
    for task, count in zip(_make(kind="one_vs_rest"), _MNIST_TEST):
        ones = min(count, 1000)
        assert np.bincount(task.test.labels).tolist() == [2000 - ones, ones]


def test_statistics_are_chosen():
    task = _make().tasks[0]
    assert not task.train.mean.any() and (task.train.std == 1.0).all()
    task = _make("cifar10", statistics="split").tasks[0]
    assert (task.train.mean != task.test.mean).any()


def test_the_seed_chooses_the_images():
    def keys(**kwargs):
        stream = _make("cifar10", "one_vs_rest", 2, **kwargs)
        return [task.fingerprint() for task in stream]

    assert keys() == keys()
    assert keys() != keys(data_seed=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "cifar100"}, "'cifar10' or 'mnist'.*'cifar100'"),
        ({"kind": "triples"}, "'pairs' or 'one_vs_rest'.*'triples'"),
        ({"data_percent": 2}, "1, 3, 5, 7.* for 'mnist'.*data_percent=2"),
        ({"statistics": "own"}, "'split' or 'none'"),
    ],
)
def test_unknown_values_are_answered_with_the_known(change, message):
    with pytest.raises(ValueError, match=message):
        _make(**change)


def test_too_few_images_are_named(monkeypatch):
    small = {
        "mnist": image_sets.MadeUpSet((1, 1, 1), 10, {"train": 90, "test": 9})
    }
    image_sets.replace_open_split(monkeypatch, small)
    with pytest.raises(UserError, match="'train'.*150 images, 1000 are"):
        _make()


def test_real_mnist_has_enough_for_every_size(monkeypatch):
    monkeypatch.undo()
    folder = image_sets.folder_of_real("mnist/3.0.1")
    stream = _make(data_percent=90, data_dir=folder)
    assert [len(t.train) for t in stream] == [9000] * 5
    assert [len(t.test) for t in stream] == [1800] * 5
    # Ones have less ink than zeros.
    first = stream.tasks[0].train
    ink = [first.images[first.labels == k].mean() for k in (0, 1)]
    assert first.image_shape == (28, 28, 1) and ink[0] < 0.6 * ink[1]
