"""The stream of classes on the digits of scikit-learn."""

import functools

import numpy as np
import pytest

from tests.testing import image_sets
from tfcl.data.sources import tfds_source
from tfcl.data.split import channel_statistics
from tfcl.data.streams.class_split import class_split_stream
from tfcl.errors import UserError

_PAIRS = [[0, 1], [2, 3], [4, 5]]
_FEW = {"train_per_class": 8, "validation_per_class": 3, "test_per_class": 3}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module", autouse=True)
def _read_once():
    # Opened splits never change; reading them anew takes half of the time.
    with pytest.MonkeyPatch.context() as patch:
        once = functools.cache(tfds_source.open_split)
        patch.setattr(tfds_source, "open_split", once)
        yield


@pytest.fixture(scope="module")
def make(data_dir):
    def stream(**kwargs):
        settings = {"task_classes": _PAIRS, "batch_size": 8}
        return class_split_stream(
            "digits", data_dir=data_dir, **{**settings, **kwargs}
        )

    return stream


@pytest.fixture(scope="module")
def source(data_dir):
    return {
        split: tfds_source.open_split("digits", split, data_dir)
        for split in ("train", "test")
    }


def _keys(split):
    """Every image as bytes."""
    return [image.tobytes() for image in split.images]


def _digests(stream):
    return [task.fingerprint() for task in stream]


def test_everything_is_used_once_unless_less_is_asked_for(make, source):
    stream = make(validation_fraction=0.25)
    for task, classes in zip(stream, _PAIRS):
        counts = [int((source["train"].labels == c).sum()) for c in classes]
        held_out = sum(int(n * 0.25) for n in counts)
        assert len(task.validation) == held_out
        assert len(task.train) == sum(counts) - held_out
        assert len(task.test) == np.isin(source["test"].labels, classes).sum()
        images = source["train"].images(
            np.flatnonzero(np.isin(source["train"].labels, classes))
        )
        used = _keys(task.train) + _keys(task.validation)
        assert sorted(used) == sorted(image.tobytes() for image in images)


def test_selection_on_test_holds_nothing_out(make, source):
    for task, classes in zip(make(selection_split="test"), _PAIRS):
        counts = [int((source["train"].labels == c).sum()) for c in classes]
        assert len(task.train) == sum(counts)
        assert _keys(task.validation) == _keys(task.test)


def test_sizes_are_those_asked_for(make):
    stream = make(train_per_class=9, validation_per_class=4, test_per_class=5)
    for task in stream:
        for split, count in (("train", 9), ("validation", 4), ("test", 5)):
            labels = getattr(task, split).labels
            assert np.bincount(labels).tolist() == [count, count]


def test_no_image_is_both_trained_on_and_validated(make):
    for task in make():
        train, validation = set(_keys(task.train)), set(_keys(task.validation))
        # All digits of the set are different images.
        assert len(train) == len(task.train)
        assert not train & validation
        assert not set(_keys(task.test)) & (train | validation)


def test_fewer_images_are_the_first_of_more(make):
    few, more = make(train_per_class=5), make(train_per_class=30)
    for one, other in zip(few, more):
        assert _keys(one.validation) == _keys(other.validation)
        for label in (0, 1):
            mine = one.train.images[one.train.labels == label]
            theirs = other.train.images[other.train.labels == label]
            np.testing.assert_array_equal(mine, theirs[:5])


def test_local_labels_follow_the_order_of_the_class_list(make, source):
    (task,) = make(task_classes=[["seven", 2, "four"]])
    assert task.class_names == ("seven", "two", "four")
    for split, images in (("train", "train"), ("test", "test")):
        found = getattr(task, split)
        for local, label in enumerate((7, 2, 4)):
            mine = found.images[found.labels == local]
            pool = source[images].images(
                np.flatnonzero(source[images].labels == label)
            )
            theirs = {image.tobytes() for image in pool}
            assert {image.tobytes() for image in mine} <= theirs


def test_the_data_seed_changes_the_choice(make):
    one, other = make(data_seed=0), make(data_seed=1)
    for mine, theirs in zip(one, other):
        assert set(_keys(mine.validation)) != set(_keys(theirs.validation))
        assert mine.class_names == theirs.class_names
        np.testing.assert_array_equal(mine.test.images, theirs.test.images)


def test_one_seed_gives_the_same_bits(make):
    for seed in (0, 5):
        one, other = (make(data_seed=seed, **_FEW) for _ in range(2))
        assert _digests(one) == _digests(other)


def test_a_class_has_the_same_images_in_every_stream(make):
    first = make(task_classes=[[3, 4]]).tasks[0]
    later = make(task_classes=[[0, 1], [8, 3]]).tasks[1]
    mine = first.validation.images[first.validation.labels == 0]
    theirs = later.validation.images[later.validation.labels == 1]
    np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("statistics", ["train", "split"])
def test_statistics_come_from_where_it_is_said(make, statistics):
    for task in make(statistics=statistics):
        for split in (task.train, task.validation, task.test):
            own = split if statistics == "split" else task.train
            mean, std = channel_statistics(own.images)
            np.testing.assert_array_equal(split.mean, mean[None])
            np.testing.assert_array_equal(split.std, std[None])
        # A single image is served by what the training images say.
        np.testing.assert_array_equal(
            np.float32(task.preprocessing.mean), task.train.mean[0]
        )
        np.testing.assert_array_equal(
            np.float32(task.preprocessing.std), task.train.std[0]
        )


def test_pixels_can_stay_as_they_are(make):
    for task in make(statistics="none"):
        for split in (task.train, task.validation, task.test):
            assert not split.mean.any() and (split.std == 1.0).all()
        assert task.preprocessing.mean == (0.0,)
        assert task.preprocessing.std == (1.0,)


def test_constants_can_be_given(make):
    for task in make(statistics=((0.25,), 0.5)):
        for split in (task.train, task.validation, task.test):
            assert (split.mean == 0.25).all() and (split.std == 0.5).all()
        assert task.preprocessing.mean == (0.25,)
    with pytest.raises(ValueError, match="`statistics`.*one per channel"):
        make(statistics=((0.1, 0.2, 0.3), 0.5))


def test_equal_groups_are_cut_without_class_lists(make):
    stream = make(task_classes=None, num_tasks=5)
    assert [task.class_names for task in stream][:2] == [
        ("zero", "one"),
        ("two", "three"),
    ]
    assert [task.name for task in stream][-1] == "task_04"
    assert stream.name == "digits_5"


def test_increments_leave_a_smaller_last_task(make):
    def counts(**kwargs):
        return make(task_classes=None, **kwargs).spec().class_counts

    assert counts(classes_per_task=4) == (4, 4, 2)
    assert counts(classes_per_task=2, first_classes=6) == (6, 2, 2)
    stream = make(task_classes=None, classes_per_task=4, order_seed=3)
    names = [name for task in stream for name in task.class_names]
    assert len(set(names)) == 10 and names != sorted(names)


def test_a_set_of_one_part_whose_classes_do_not_all_occur(monkeypatch):
    """As ImageNet-R: images of some classes, of any size, for tests only."""
    made_up = image_sets.MadeUpSet(
        (9, 7, 3), tuple("abcdef"), {"train": (10, 0, 10, 20, 0, 10)}
    )
    image_sets.replace_open_split(monkeypatch, {"imagenet_r": made_up})

    def make(**kwargs):
        return class_split_stream(
            "imagenet_r",
            8,
            image_size=6,
            validation_fraction=0.25,
            classes_per_task=2,
            **kwargs,
        )

    stream = make(test_fraction=0.2)
    assert [t.class_names for t in stream] == [("a", "c"), ("d", "f")]
    assert stream.spec().image_shape == (6, 6, 3)
    sizes = [
        [len(split) for split in (t.train, t.validation, t.test)]
        for t in stream
    ]
    assert sizes == [[12, 4, 4], [18, 6, 6]]
    seen = [
        image.tobytes()
        for task in stream
        for split in (task.train, task.validation, task.test)
        for image in split.images
    ]
    assert len(set(seen)) == 50
    with pytest.raises(ValueError, match="`test_fraction` must be given"):
        make()


def test_an_order_seed_mixes_the_classes(make):
    def names(**kwargs):
        tasks = make(task_classes=None, num_tasks=5, **_FEW, **kwargs)
        return [task.class_names for task in tasks]

    mixed, plain = names(order_seed=1), names()
    assert mixed == names(order_seed=1)
    assert mixed != names(order_seed=2)
    assert mixed != plain
    assert sorted(sum(mixed, ())) == sorted(sum(plain, ()))


def test_an_order_seed_moves_whole_tasks_with_their_names(make):
    given = ["zero_one", "two_three", "four_five"]
    orders = set()
    for seed in range(6):
        stream = make(task_names=given, order_seed=seed, **_FEW)
        for task in stream:
            assert task.name == "_".join(task.class_names)
        assert [task.index for task in stream] == [0, 1, 2]
        orders.add(tuple(task.name for task in stream))
    assert len(orders) > 1


def test_the_first_tasks_can_be_taken(make):
    stream = make(num_tasks=2)
    assert len(stream) == 2
    assert _digests(stream) == _digests(make())[:2]


def test_tasks_may_share_classes(make):
    stream = make(task_classes=[[0, 1], [1, 2]])
    assert stream.spec().class_names == (("zero", "one"), ("one", "two"))


def test_too_few_images_name_task_split_and_class(make):
    with pytest.raises(UserError) as caught:
        make(task_names=["a", "b", "c"], validation_per_class=25)
    message = str(caught.value)
    assert "Task 'a', split 'validation': class 'zero' has 23" in message
    assert "25 are asked for" in message
    assert "class_split_stream.validation_per_class" in message


@pytest.mark.parametrize("statistics", ["train", "split"])
def test_a_validation_part_of_nothing_is_named(make, statistics):
    with pytest.raises(UserError) as caught:
        make(validation_fraction=0.001, statistics=statistics)
    message = str(caught.value)
    assert "Task 'task_00', split 'validation': no image" in message
    assert "validation_fraction=0.001" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"selection_split": "train"}, "selection_split='train'"),
        ({"validation_fraction": 0.0}, "validation_fraction=0.0"),
        ({"validation_fraction": 1.0}, "validation_fraction=1.0"),
        ({"statistics": "test"}, "'train', 'split' or 'none'.*'test'"),
        ({"train_per_class": 0}, "`train_per_class` must be int of at"),
        ({"test_per_class": -1}, "test_per_class=-1"),
        ({"task_classes": None}, "divide the 10 classes.*num_tasks=None"),
        ({"task_classes": None, "num_tasks": 3}, "num_tasks=3"),
        ({"num_tasks": 4}, "1..3.*num_tasks=4"),
        ({"num_tasks": 0}, "1..3.*num_tasks=0"),
        ({"task_classes": [[0, 1], [2, 10]]}, "task 1: .*0..9.*Received: 10"),
        ({"task_classes": [["zero", "ten"]]}, "task 0: .*Received: 'ten'"),
        ({"task_classes": [[0, 1], []]}, "task 1: no class"),
        (
            {"task_classes": None, "num_tasks": 5, "classes_per_task": 2},
            "give one",
        ),
        (
            {"task_classes": None, "num_tasks": 5, "first_classes": 2},
            "`first_classes` needs `classes_per_task`",
        ),
        (
            {"task_classes": None, "classes_per_task": 11},
            "`classes_per_task`.*10 classes.*=11",
        ),
        ({"classes_per_task": 2}, "must be None where `task_classes`"),
        ({"test_fraction": 1.0}, "test_fraction=1.0"),
        ({"image_size": 0}, "image_size=0"),
        ({"resize": "shrink"}, "resize='shrink'"),
        ({"task_names": ["a", "b"]}, "2 names for 3 tasks"),
        # Caught by the stream: see task_test.py for the rest.
        ({"task_classes": [[0, 0]]}, "class names must differ"),
        ({"task_classes": [[4]]}, "'task_00': a task needs at least two"),
    ],
)
def test_arguments_out_of_range_are_named(make, change, message):
    with pytest.raises(ValueError, match=message):
        make(**change)


def test_an_unknown_data_set_is_refused(data_dir):
    with pytest.raises(UserError, match="digitz"):
        class_split_stream("digitz", 8, num_tasks=5, data_dir=data_dir)
