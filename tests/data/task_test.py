"""Streams refuse what could not be learned or measured, by name."""

import dataclasses

import numpy as np
import pytest

from tfcl.data.preprocessing import Preprocessing
from tfcl.data.split import Split
from tfcl.data.synthetic import synthetic_stream
from tfcl.data.task import StreamSpec, TaskStream

_TASKS = synthetic_stream(
    class_counts=(2, 3),
    image_shape=(4, 4, 3),
    train_size=12,
    test_size=12,
    batch_size=4,
).tasks


def _stream(batch_size=4, split=None, values=None, **changes):
    """A stream whose second task, or one split of it, is changed."""
    task = _TASKS[1]
    if split is not None:
        changed = dataclasses.replace(getattr(task, split), **values)
        changes[split] = changed
    changed = dataclasses.replace(task, **changes)
    return TaskStream("toy", [_TASKS[0], changed], batch_size)


def _fault(**kwargs):
    with pytest.raises(ValueError) as caught:
        _stream(**kwargs)
    return str(caught.value)


def test_a_proper_stream_is_accepted():
    stream = _stream()
    assert len(stream) == 2
    assert [task.index for task in stream] == [0, 1]
    assert [task.num_classes for task in stream] == [2, 3]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_images_of_another_shape_are_refused(split):
    wrong = np.zeros((12, 4, 5, 3), np.uint8)[: len(getattr(_TASKS[1], split))]
    message = _fault(split=split, values={"images": wrong})
    assert "task 'task_01', split" in message
    assert f"'{split}': images are (4, 5, 3)" in message
    assert "first task (4, 4, 3)" in message


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("label", [3, -1])
def test_a_label_out_of_range_is_refused(split, label):
    labels = getattr(_TASKS[1], split).labels.copy()
    labels[0] = label
    message = _fault(split=split, values={"labels": labels})
    assert f"task 'task_01', split '{split}': labels must be 0..2" in message
    assert (f"labels {label}.." if label < 0 else f"..{label}") in message


def test_one_class_under_two_labels_of_a_task_is_refused():
    message = _fault(class_names=("cat", "dog", "cat"))
    assert "task 'task_01': class names must differ" in message
    assert "['cat', 'dog', 'cat']" in message


def test_two_tasks_may_hold_the_same_class():
    names = {t.class_names for t in _stream(class_names=("a", "b", "c"))}
    assert ("a", "b", "c") in names
    shared = _stream(class_names=(*_TASKS[0].class_names, "other"))
    assert shared.spec().class_names[1][:2] == shared.spec().class_names[0]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_an_empty_split_is_refused(split):
    empty = Split(
        np.zeros((0, 4, 4, 3), np.uint8),
        np.zeros(0, np.int32),
        np.zeros(3),
        np.ones(3),
    )
    message = _fault(**{split: empty})
    assert f"task 'task_01', split '{split}': no example" in message


@pytest.mark.parametrize("names", [("cat",), ()])
def test_a_task_of_one_class_is_refused(names):
    message = _fault(class_names=names)
    assert "task 'task_01': a task needs at least two classes" in message
    assert f"Received: {list(names)}" in message


def test_a_task_smaller_than_a_batch_takes_all_it_has():
    # Both tasks have twelve.
    stream = _stream(batch_size=13)
    assert stream.batch_size == stream.spec().batch_size == 13
    assert [task.batch_size for task in stream] == [12, 12]
    assert [visit.task.batch_size for visit in stream.visits] == [12, 12]
    assert [task.batch_size for task in _stream(batch_size=12)] == [None, None]


@pytest.mark.parametrize("batch_size", [0, -4])
def test_a_batch_without_examples_is_refused(batch_size):
    message = _fault(batch_size=batch_size)
    assert f"Received: batch_size={batch_size}" in message


def test_a_stream_without_tasks_is_refused():
    with pytest.raises(ValueError, match="'toy' has no task"):
        TaskStream("toy", [], 4)


def test_two_tasks_of_one_name_are_refused():
    message = _fault(name="task_00")
    assert "task names must be unique" in message
    assert "['task_00']" in message


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../up"])
def test_a_name_that_no_file_should_have_is_refused(name):
    assert f"Received: {name!r}" in _fault(name=name)


def test_the_specification_says_what_a_method_needs():
    spec = _stream().spec()
    assert spec.num_tasks == 2
    assert spec.class_counts == (2, 3)
    assert spec.max_classes == 3
    assert spec.image_shape == (4, 4, 3)
    assert spec.task_names == ("task_00", "task_01")
    assert spec.batch_size == 4
    assert StreamSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize("letter", ["x", "é", "鳥"])
def test_a_name_too_long_for_files_is_refused_before_training(letter, tmp_path):
    fits = letter * (200 // len(letter.encode()))
    _stream(name=fits)
    # The longest that is put around it: a temporary file of a figure.
    longest = f".{fits}_configuration_probability.png.abcdefgh.tmp"
    (tmp_path / longest).write_bytes(b"")
    message = _fault(name=fits + letter)
    assert "a task name has at most 200 bytes" in message
    assert "Rename the task" in message and len(message) < 300


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b"])
def test_a_name_is_that_of_a_file_in_its_folder(name):
    assert "a task name holds letters, digits" in _fault(name=name)


def test_the_fingerprint_sees_names_and_data():
    task = _TASKS[0]
    fingerprint = task.fingerprint()
    assert dataclasses.replace(task, index=5).fingerprint() == fingerprint
    images = task.test.images.copy()
    images[-1, -1, -1, -1] ^= 1
    changes = [
        {"name": "other"},
        {"class_names": ("x", "y")},
        {"test": dataclasses.replace(task.test, images=images)},
        {"train": task.validation},
    ]
    found = {dataclasses.replace(task, **c).fingerprint() for c in changes}
    assert len(found) == len(changes)
    assert fingerprint not in found


def test_tasks_know_those_before_them():
    assert _TASKS[0].earlier == ()
    assert _TASKS[1].earlier == (_TASKS[0],)
    assert isinstance(_TASKS[1].preprocessing, Preprocessing)
