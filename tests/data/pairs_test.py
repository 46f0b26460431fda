"""Pairs of images, and tasks that are measured by them."""

import numpy as np
import pytest

from tests.testing import image_sets
from tfcl.data.pairs import PairSplit, drawn_pairs
from tfcl.data.streams.dataset_stream import dataset_stream
from tfcl.errors import UserError

_SETS = {
    "vggface2": image_sets.MadeUpSet((8, 8, 3), 5, {"train": 40, "test": 2}),
    "sketches": image_sets.MadeUpSet((8, 8, 3), 3, {"train": 20, "test": 6}),
    "lfw_pairs": image_sets.MadeUpSet((8, 8, 3), 2, {"test": 12}),
}


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    image_sets.replace_open_split(monkeypatch, _SETS)


def _split(labels, **kwargs):
    images = np.zeros((len(labels), 2, 2, 1), np.uint8)
    return PairSplit(images, np.array(labels), [0.0], [1.0], **kwargs)


def _stream(**kwargs):
    return dataset_stream(
        ["vggface2", "sketches"],
        image_size=6,
        batch_size=4,
        task_names=["persons", "drawings"],
        pairs={"persons": "lfw_pairs"},
        **kwargs,
    )


def test_both_images_of_a_pair_say_whether_they_show_one_person():
    split = _split([1, 1, 0, 0, 1, 1], folds=3)
    np.testing.assert_array_equal(split.same, [True, False, True])


@pytest.mark.parametrize("labels", [[1, 0, 0, 1], [1, 1, 0], [2, 2, 0, 0]])
def test_rows_that_are_no_pairs_are_refused(labels):
    with pytest.raises(ValueError, match="`labels` must hold 0 or 1, the same"):
        _split(labels, folds=2)


@pytest.mark.parametrize("folds", [1, 4])
def test_folds_must_fit_the_pairs(folds):
    with pytest.raises(ValueError, match=f"Received: folds={folds}, 3 pairs"):
        _split([1, 1, 0, 0, 1, 1], folds=folds)


def test_drawn_pairs_are_what_their_labels_say():
    labels = np.repeat(np.arange(6), (8, 8, 3, 2, 1, 8))
    rows, same = drawn_pairs(labels, 3, 0)
    first, second = labels[rows[::2]], labels[rows[1::2]]
    np.testing.assert_array_equal(first == second, same[::2] == 1)
    assert (rows[::2] != rows[1::2]).all()
    # 3 of persons 0, 1 and 5, 1 of 2 and 3, none of 4, of each kind.
    counts = np.bincount(first[same[::2] == 1], minlength=6)
    np.testing.assert_array_equal(counts, [3, 3, 1, 1, 0, 3])
    assert 4 not in second
    again, _ = drawn_pairs(labels, 3, 0)
    np.testing.assert_array_equal(rows, again)
    other, _ = drawn_pairs(labels, 3, 1)
    assert (rows != other).any()


def test_pairs_need_two_persons_with_two_images():
    with pytest.raises(UserError, match="two images each; 1 have"):
        drawn_pairs([0, 0, 1, 2], 3, 0)


def test_a_task_of_a_stream_is_measured_by_pairs():
    persons, drawings = _stream(validation_fraction=0.25, pairs_per_class=2)
    assert isinstance(persons.test, PairSplit)
    assert len(persons.test.same) == 24  # Made up: 12 of each kind.
    assert isinstance(persons.validation, PairSplit)
    # Five persons with two pairs of each kind out of ten held-out images.
    assert np.bincount(persons.validation.same).tolist() == [10, 10]
    assert not isinstance(persons.train, PairSplit)
    assert not isinstance(drawings.test, PairSplit)
    assert persons.fingerprint() != _stream(data_seed=1).tasks[0].fingerprint()


def test_the_program_validates_on_the_test_pairs():
    persons, _ = _stream(selection_split="test")
    assert persons.validation is persons.test


def test_tasks_may_have_batch_sizes_of_their_own():
    stream = dataset_stream(
        ["vggface2", "sketches"], image_size=6, batch_size=[8, 2]
    )
    assert [task.batch_size for task in stream] == [8, 2]
    assert stream.spec().batch_size == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs_per_class": 0}, "`pairs_per_class` must be int of at"),
        ({"task_names": ["a", "b"]}, "`pairs` must name tasks of the stream"),
        ({"batch_size": [4]}, "`batch_size` must have one value per data set"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    settings = {
        "image_size": 6,
        "batch_size": 4,
        "task_names": ["persons", "drawings"],
        "pairs": {"persons": "lfw_pairs"},
    }
    with pytest.raises(ValueError, match=message):
        dataset_stream(["vggface2", "sketches"], **{**settings, **options})
