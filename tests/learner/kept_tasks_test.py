"""What a run keeps of a task's data."""

import numpy as np
import pytest

import tfcl
from tests.learner.programs import examples
from tfcl.data.run_folder import made_for, run_folder
from tfcl.errors import RunError, UserError
from tfcl.learner.kept_stream import kept_stream
from tfcl.learner.kept_tasks import KeptTasks, with_index
from tfcl.learner.readings import Reading
from tfcl.learner.task_data import opened

READING = Reading((12, 12, 3), "train", "stretch", 0.15, 0.2, 0, 16)


@pytest.fixture
def task():
    return opened(tfcl.Task("shoes", train=examples(1)), READING)


@pytest.fixture
def kept(tmp_path, task):
    found = KeptTasks(tmp_path)
    found.keep(task, READING.to_json())
    return KeptTasks(tmp_path)


def test_a_task_is_known_again_without_its_data(kept, task):
    again = kept.task(0, ())
    assert again.fingerprint() == task.fingerprint()
    assert again.preprocessing == task.preprocessing
    assert again.class_names == task.class_names
    for name in ("train", "validation", "test"):
        one, other = getattr(task, name), getattr(again, name)
        np.testing.assert_array_equal(one.labels, other.labels)
        assert one.images.shape == other.images.shape
    np.testing.assert_array_equal(again.test.images, task.test.images)
    for split in (again.train, again.validation):
        with pytest.raises(UserError, match="'shoes' were given by a Python"):
            split.images[:1]
        with pytest.raises(UserError, match=r"learn\(tfcl.Task\('shoes'"):
            split.taken(np.array([0]))


def test_data_that_come_again_are_fetched_and_compared(kept, task):
    calls = []

    def again():
        calls.append(1)
        return task

    split = kept.task(0, (), again).train
    assert not calls  # Nobody has asked.
    np.testing.assert_array_equal(split.images[3:5], task.train.images[3:5])
    rows = np.array([4, 1])
    np.testing.assert_array_equal(
        split.taken(rows).images, task.train.images[rows]
    )
    assert len(calls) == 1
    other = opened(tfcl.Task("shoes", train=examples(2)), READING)
    with pytest.raises(UserError, match="train examples are not those"):
        kept.task(0, (), lambda: other).train.images[:]


def test_a_task_that_never_began_makes_room(kept, task):
    second = with_index(task, 1, (task,))
    kept.keep(second, READING.to_json())
    assert kept.names == ["shoes", "shoes"]
    kept.keep(task, READING.to_json())
    assert kept.names == ["shoes"]


def test_a_stream_of_kept_tasks_finds_its_run(kept, task):
    with made_for(kept.folder.parent):
        stream = kept_stream(batch_size=16)
    assert [each.name for each in stream] == ["shoes"]
    assert stream.tasks[0].fingerprint() == task.fingerprint()
    assert run_folder() is None
    with pytest.raises(UserError, match="No task of a Python program"):
        kept_stream(batch_size=16)


def test_a_newer_format_is_refused(kept):
    path = kept.folder / "tasks.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(RunError, match="of format 9"):
        KeptTasks(kept.folder.parent)


def test_a_missing_file_is_named(kept):
    (kept.folder / "000_shoes.npz").unlink()
    with pytest.raises(RunError, match="000_shoes.npz cannot be read"):
        kept.task(0, ())


def test_a_part_of_absent_examples_has_a_digest_of_its_own(kept, task):
    split = kept.task(0, (), lambda: task).train
    for rows in (np.array([3, 1]), np.array([0])):
        assert split.taken(rows).digest() == task.train.taken(rows).digest()
    assert split.digest() == task.train.digest()
