"""Finished tasks: immutable, checked, and served by one trace."""

import dataclasses
import pathlib
import shutil

import numpy as np
import pytest

from tests.testing import toy_run
from tfcl.engine.storage.bank import Bank
from tfcl.errors import RunError, UserError
from tfcl.files import read_json, write_json


@pytest.fixture(scope="module", autouse=True)
def _no_figures():
    with toy_run.no_figures():
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two tasks."""
    folder = tmp_path_factory.mktemp("finished")
    return toy_run.learn(folder, stream=toy_run.toy_stream((2, 3)))


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of the run."""
    source = finished.run.model_dir
    return pathlib.Path(shutil.copytree(source, tmp_path / "run"))


@pytest.mark.parametrize("file", ["values.npz", "task.json"])
def test_a_missing_file_is_named(folder, file):
    path = folder / "tasks" / "000_task_00"
    (path / file).unlink()
    with pytest.raises(RunError, match="'task_00' cannot be read from"):
        Bank(folder / "tasks").load(0, "task_00")


@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_flipped_byte_of_the_values_is_found(folder, place):
    path = folder / "tasks" / "000_task_00" / "values.npz"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match="000_task_00/values.npz is damaged"):
        Bank(folder / "tasks").load(0, "task_00")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", "\0\0"])
def test_a_damaged_note_is_named(folder, text):
    path = folder / "tasks" / "000_task_00" / "task.json"
    path.write_text(text)
    with pytest.raises(RunError, match="'task_00' cannot be read from"):
        Bank(folder / "tasks").load(0, "task_00")


def test_files_of_a_task_are_kept_and_may_be_damaged(tmp_path):
    visit = toy_run.toy_stream((2, 3))().visits[0]
    bank, files = Bank(tmp_path / "tasks"), {"cat/\udcff.png": "0123"}
    path = tmp_path / "tasks/000_task_00/files.json.gz"
    bank.store(visit, {}, {}, {})
    assert not path.exists() and bank.files(0, "task_00") == {}
    task = dataclasses.replace(visit.task, files=files)
    bank.store(visit._replace(task=task), {}, {}, {})
    assert bank.files(0, "task_00") == files
    content = path.read_bytes()
    for damaged in (b"", content[:-9], content[:15] + b"x" + content[16:]):
        path.write_bytes(damaged)
        assert bank.files(0, "task_00") == {}  # Only messages tell of it.


def test_a_run_says_which_task_is_damaged_and_goes_on_when_it_is_back(
    folder, tmp_path
):
    longer = toy_run.toy_stream((2, 3, 2))
    path = folder / "tasks" / "000_task_00" / "values.npz"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(RunError, match="000_task_00/values.npz is damaged"):
        toy_run.learn(folder, stream=longer)
    path.write_bytes(content)
    found = toy_run.learn(folder, stream=longer)
    wanted = toy_run.learn(tmp_path / "straight", stream=longer)
    toy_run.assert_same_outcome(found, wanted)


def _flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_no_flipped_bit_of_the_facts_of_a_task_passes(folder, finished):
    path = folder / "tasks" / "000_task_00" / "task.json"
    whole, bank = path.read_bytes(), Bank(folder / "tasks")
    wanted = finished.run.bank.load(0, "task_00")
    for place in range(len(whole)):
        _flip(path, place)
        try:
            found = bank.load(0, "task_00")
        except RunError as error:
            assert "task_00" in str(error)
        else:  # The layout of the file, or the name of a checksum.
            for name in ("index", "name", "class_names", "notes"):
                assert getattr(found, name) == getattr(wanted, name)
            assert found.preprocessing == wanted.preprocessing
        path.write_bytes(whole)


def test_changed_preprocessing_or_prior_is_refused(folder):
    path = folder / "tasks" / "000_task_00" / "task.json"
    whole = read_json(path)
    for change in (
        {"preprocessing": {**whole["preprocessing"], "mean": [0.0] * 3}},
        {"notes": {**whole["notes"], "configuration": "10"}},
    ):
        write_json(path, {**whole, **change})
        with pytest.raises(RunError, match="task.json is damaged, its check"):
            Bank(folder / "tasks").load(0, "task_00")
    # A task of an older version has no such checksum.
    del whole["facts_sha256"], whole["history_sha256"]
    write_json(path, whole)
    assert Bank(folder / "tasks").load(0, "task_00").index == 0
    assert Bank(folder / "tasks").history(0, "task_00")


def test_a_folder_of_another_task_does_not_serve(folder):
    tasks = folder / "tasks"
    shutil.rmtree(tasks / "000_task_00")
    shutil.copytree(tasks / "001_task_01", tasks / "000_task_00")
    with pytest.raises(RunError, match="it holds task 'task_01'"):
        Bank(tasks).load(0, "task_00")


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_lost_curves_cost_only_the_curves_and_are_told(folder, damage, caplog):
    path = folder / "tasks" / "000_task_00" / "history.npz"
    bank = Bank(folder / "tasks")
    assert "train/loss" in bank.history(0, "task_00")
    if damage == "flipped":
        _flip(path, 300)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        path.unlink()
    with pytest.raises(RunError, match="training curves of task 'task_00'"):
        bank.history(0, "task_00")
    assert bank.load(0, "task_00").values
    # The next start says so in one line, and so do the results.
    with caplog.at_level("WARNING", logger="absl"):
        again = toy_run.learn(folder, stream=toy_run.toy_stream((2, 3)))
    said = [r for r in caplog.records if "training curves" in r.message]
    assert len(said) == 1
    (line,) = again.results["lost"]
    assert line == said[0].message and str(path) in line


def test_an_unknown_task_is_refused_with_the_known_ones(folder):
    with pytest.raises(UserError, match="'cats'.*task_00, task_01"):
        Bank(folder / "tasks").find("cats")
    assert Bank(folder / "tasks").find("task_01").index == 1


def test_a_finished_run_started_again_changes_nothing(folder, finished):
    places = _places(folder / "tasks")
    again = toy_run.learn(folder, stream=toy_run.toy_stream((2, 3)))
    toy_run.assert_same_outcome(again, finished)
    assert _places(folder / "tasks") == places


def test_a_longer_stream_learns_only_its_new_tasks(folder, tmp_path):
    places = _places(folder / "tasks")
    longer = toy_run.toy_stream((2, 3, 3, 2))
    found = toy_run.learn(folder, stream=longer)
    after = _places(folder / "tasks")
    assert {path: after[path] for path in places} == places
    assert len(after) == 2 * len(places)
    # As if all tasks had been known from the beginning.
    wanted = toy_run.learn(tmp_path / "straight", stream=longer)
    toy_run.assert_same_outcome(found, wanted)


@pytest.mark.parametrize("method", [toy_run.toy_hps, toy_run.toy_lasem])
def test_a_new_task_may_have_more_classes_than_any_before(tmp_path, method):
    short = toy_run.learn(tmp_path, method(), toy_run.toy_stream((2, 2)))
    places = _places(tmp_path / "tasks")
    wide = toy_run.learn(tmp_path, method(), toy_run.toy_stream((2, 2, 5)))
    after = _places(tmp_path / "tasks")
    assert {path: after[path] for path in places} == places
    rows = wide.results["accuracy_matrix"]
    old = short.results["accuracy_matrix"]
    assert [row[:2] for row in rows[:2]] == old
    assert None not in rows[2]
    entry = wide.run.bank.load(2, "task_02")
    assert entry.values["head/kernel_1"].shape[-1] == 5
    assert wide.run.bank.load(0, "task_00").values["head/columns"].size == 2


def test_ten_tasks_of_different_widths_need_one_trace(tmp_path):
    counts = (2, 5, 3, 2, 7, 4, 2, 6, 3, 5)
    training = toy_run.toy_training(epochs=1)
    stream = toy_run.toy_stream(counts, train_size=40, test_size=20)
    run = toy_run.learn(tmp_path, toy_run.LASEM(training), stream).run
    traces = {"train_step": 1, "evaluate": 1, "answer": 1}
    assert dict(run.runner.traces) == traces


def test_values_of_another_shape_are_refused(finished):
    entry = finished.run.bank.load(0, "task_00")
    values = dict(entry.values)
    name = "head/kernel_0"
    values[name] = np.zeros((1000, 6), np.float32)
    with pytest.raises(RunError, match="different networks"):
        finished.run.method.activate(values, 0)


def _places(folder):
    """`{path: (content, time of change, number on the disk)}`."""
    return {
        str(path.relative_to(folder)): (
            path.read_bytes(),
            path.stat().st_mtime_ns,
            path.stat().st_ino,
        )
        for path in sorted(folder.rglob("*.*"))
        if path.is_file()
    }
