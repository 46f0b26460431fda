"""A folder is gone on with by the stream that it was begun with."""

import pathlib
import types

import pytest

from tfcl.data.synthetic import synthetic_stream
from tfcl.engine.continuing.resuming import (
    data_folder,
    refuse_lost_checkpoints,
    refuse_other_tasks,
)
from tfcl.engine.storage.journal import Journal
from tfcl.errors import RunError, UserError

_FOLDER = pathlib.Path("run")


def _learned(stream, finished, begun=False):
    journal = Journal(
        visits=[
            types.SimpleNamespace(fingerprint=task.fingerprint())
            for task in stream.tasks[:finished]
        ]
    )
    if begun:
        journal.begin_task(stream.tasks[finished])
    return journal


@pytest.mark.parametrize("begun", [False, True])
def test_the_same_stream_and_a_longer_one_go_on(begun):
    journal = _learned(synthetic_stream((2, 2)), 1, begun)
    refuse_other_tasks(journal, synthetic_stream((2, 2)), _FOLDER)
    refuse_other_tasks(journal, synthetic_stream((2, 2, 3)), _FOLDER)


def test_a_stream_must_hold_all_that_was_learned():
    journal = _learned(synthetic_stream((2, 2)), 2)
    wanted = "has learned 2 tasks, the stream has only 1"
    with pytest.raises(UserError, match=wanted):
        refuse_other_tasks(journal, synthetic_stream((2,)), _FOLDER)


@pytest.mark.parametrize("begun", [False, True])
def test_the_task_that_differs_is_named(begun):
    """The one in hand counts like those that are finished."""
    journal = _learned(synthetic_stream((2, 2, 2)), 2 - begun, begun)
    with pytest.raises(UserError, match=r"Task 1 \('task_01'\)"):
        refuse_other_tasks(journal, synthetic_stream((2, 3, 2)), _FOLDER)


def test_tasks_without_their_checkpoint_are_not_overwritten():
    bank = types.SimpleNamespace(names=lambda: {"cats": 0, "dogs": 1})
    with pytest.raises(RunError, match=r"\(cats, dogs\).*Restore"):
        refuse_lost_checkpoints(bank, _FOLDER)
    refuse_lost_checkpoints(types.SimpleNamespace(names=dict), _FOLDER)


def test_a_run_remembers_its_data_folder(tmp_path, monkeypatch, caplog):
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.mkdir()
    monkeypatch.setenv("TFDS_DATA_DIR", str(other))
    journal = Journal()
    assert data_folder(journal, None) == str(other)
    assert data_folder(journal, mine) == str(mine)
    again = Journal.loads(journal.dumps())
    assert data_folder(again, None) == str(mine)
    mine.rmdir()
    with caplog.at_level("WARNING"):
        assert data_folder(again, None) == str(other)
    assert f"{mine}, is not there any more. Give --data_dir" in caplog.text


def test_without_a_word_it_is_the_default_of_tfds(monkeypatch):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    assert data_folder(Journal(), None) is None
