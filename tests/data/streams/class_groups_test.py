"""The order of classes: by name, by seed, by list."""

import numpy as np
import pytest

from tests.testing import image_sets
from tfcl.data.streams.class_groups import ICARL
from tfcl.data.streams.class_split import class_split_stream

# As published with iCaRL (Rebuffi et al., CVPR 2017), for CIFAR-100.
_ICARL = [
    *(68, 56, 78, 8, 23, 84, 90, 65, 74, 76, 40, 89, 3, 92, 55, 9, 26, 80),
    *(43, 38, 58, 70, 77, 1, 85, 19, 17, 50, 28, 53, 13, 81, 45, 82, 6, 59),
    *(83, 16, 15, 44, 91, 41, 72, 60, 79, 52, 20, 10, 31, 54, 37, 95, 14, 71),
    *(96, 98, 97, 2, 64, 66, 42, 22, 35, 86, 24, 34, 87, 21, 99, 0, 88, 27),
    *(18, 94, 11, 12, 47, 25, 30, 46, 62, 69, 36, 61, 7, 63, 75, 5, 32, 4),
    *(51, 48, 73, 93, 39, 67, 29, 49, 57, 33),
]
_EVERY = {"train": 3, "test": 1}
_SETS = {
    "cifar100": image_sets.MadeUpSet((4, 4, 1), 100, _EVERY),
    "cifar10": image_sets.MadeUpSet((4, 4, 1), 10, _EVERY),
    # Of the ten classes, four have no image.
    "mnist": image_sets.MadeUpSet(
        (4, 4, 1), 10, {"train": (3, 0, 3, 3, 0, 0, 3, 3, 0, 3), "test": 1}
    ),
}


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    image_sets.replace_open_split(monkeypatch, _SETS)


def _stream(dataset, **kwargs):
    settings = {"validation_fraction": 0.4, "batch_size": 2}
    return class_split_stream(dataset, **{**settings, **kwargs})


def _classes(dataset="cifar10", **kwargs):
    """Class indices of the tasks, in their order."""
    return [
        [int(name.partition("_")[2]) for name in task.class_names]
        for task in _stream(dataset, **kwargs)
    ]


@pytest.mark.parametrize("order", [ICARL, 1993])
def test_icarl_s_order_is_the_published_one(order):
    found = _classes(
        "cifar100", class_order=order, classes_per_task=5, first_classes=50
    )
    assert [len(each) for each in found] == [50] + [5] * 10
    assert sum(found, []) == _ICARL
    assert sorted(_ICARL) == list(range(100))


def test_seeds_draw_as_numpy_did():
    np.random.seed(7)
    wanted = np.random.permutation(10).tolist()
    assert sum(_classes(class_order=7, num_tasks=5), []) == wanted
    assert sum(_classes(class_order=8, num_tasks=5), []) != wanted


def test_only_classes_with_images_are_ordered():
    found = _classes("mnist", class_order=3, num_tasks=3)
    wanted = np.array([0, 2, 3, 6, 7, 9])[
        np.random.RandomState(3).permutation(6)
    ]
    assert sum(found, []) == wanted.tolist()


def test_a_list_orders_and_leaves_out():
    found = _classes(class_order=[3, "class_1", 4, 0], num_tasks=2)
    assert found == [[3, 1], [4, 0]]


def test_images_of_a_class_do_not_depend_on_the_order():
    (plain,) = _stream("cifar10", num_tasks=1)
    (mixed,) = _stream("cifar10", num_tasks=1, class_order=[4, 2])
    for local, label in enumerate((4, 2)):
        np.testing.assert_array_equal(
            mixed.train.images[mixed.train.labels == local],
            plain.train.images[plain.train.labels == label],
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"class_order": "icarl"}, "100 classes, not of the 10.*1993"),
        ({"class_order": "imagenet"}, "`class_order` must be 'icarl' or int"),
        ({"class_order": -1}, "`class_order`.*int of at least 0"),
        ({"class_order": []}, "each once"),
        ({"class_order": [1, 1]}, r"each once.*\[1, 1\]"),
        ({"class_order": [1, 10]}, "`class_order`: a class is.*0..9.*10"),
        ({"class_order": [1, "no"]}, "`class_order`: a class is.*'no'"),
        ({"class_order": 1, "order_seed": 1}, "`order_seed` must be None"),
        (
            {"class_order": 1, "task_classes": [[0, 1]]},
            "`class_order` must be None where `task_classes`",
        ),
    ],
)
def test_orders_that_are_none_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        _stream("cifar10", num_tasks=1, **arguments)


def test_a_listed_class_must_have_images():
    with pytest.raises(ValueError, match="classes with images"):
        _stream("mnist", num_tasks=1, class_order=[0, 1])
