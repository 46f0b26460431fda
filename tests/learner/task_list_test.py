"""Tasks of a run are renamed and removed; nothing else changes.

From a terminal tfcl.tasks does it.
"""

import json
import shutil

import numpy as np
import pytest

import tfcl
from tests.engine.continuing.growth_test import individual, stream_of
from tests.learner.programs import examples, method
from tests.testing.forked_commands import ForkedCommands
from tests.testing.toy_run import learn, open_run
from tfcl.data.absent import is_lost
from tfcl.errors import UserError
from tfcl.learner.task_list import TaskList
from tfcl.testing import undrawn_figures

_IMAGES = examples(5, 12)[0]
_SHOES = tfcl.Task("shoes", train=examples(1))
_BAGS = tfcl.Task("bags", train=examples(2, classes=3))


@pytest.fixture(scope="module", autouse=True)
def _no_figures():
    with undrawn_figures():
        yield


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A shop of two tasks, exported; not to be changed."""
    folder = tmp_path_factory.mktemp("shop")
    learner = tfcl.Learner(folder, method(2))
    learner.learn(_SHOES)
    learner.learn(_BAGS)
    learner.export()
    return folder


@pytest.fixture
def shop(learned, tmp_path):
    shutil.copytree(learned, tmp_path / "shop")
    return tmp_path / "shop"


@pytest.fixture
def tasks(shop):
    return TaskList(shop, lambda: method(2))


def _results(folder):
    return json.loads((folder / "results.json").read_text())


def test_a_renamed_task_answers_as_before(shop, tasks, learned):
    before = tfcl.Learner(learned, method(2)).predict("shoes", _IMAGES)
    tasks.rename("shoes", "boots")
    learner = tfcl.Learner(shop, method(2))
    assert learner.tasks == ["boots", "bags"]
    np.testing.assert_array_equal(learner.predict("boots", _IMAGES), before)
    with pytest.raises(UserError, match="No learned task 'shoes'.*boots, bags"):
        learner.predict("shoes", _IMAGES)
    found, wanted = _results(shop), _results(learned)
    assert found["task_names"] == ["boots", "bags"]
    assert [task["name"] for task in found["tasks"]] == ["boots", "bags"]
    assert found["accuracy_matrix"] == wanted["accuracy_matrix"]
    assert (shop / "export/boots/2/saved_model.pb").exists()
    assert not (shop / "export/shoes").exists()
    assert list(learner.evaluate()) == ["boots", "bags"]


def test_a_run_with_a_renamed_task_learns_on(shop, tasks):
    tasks.rename("shoes", "boots")
    learner = tfcl.Learner(shop, method(2))
    before = learner.accuracy_matrix[-1]
    boots = tfcl.Task("boots", train=_SHOES.train)
    assert list(learner.learn(boots)) == ["boots", "bags"]  # Learned already.
    found = learner.learn(tfcl.Task("hats", train=examples(3)))
    assert list(found) == ["boots", "bags", "hats"]
    assert list(found.values())[:2] == before.tolist()
    tasks.rename("boots", "shoes")  # And back.
    assert tfcl.Learner.load(shop).tasks == ["shoes", "bags", "hats"]


def test_a_removed_task_frees_its_name(shop, tasks):
    tasks.remove("shoes")
    learner = tfcl.Learner(shop, method(2))
    assert learner.tasks == ["bags"]
    assert not (shop / "export/shoes/2").exists()
    with pytest.raises(UserError, match="No learned task 'shoes'"):
        learner.predict("shoes", _IMAGES)
    found = learner.learn(tfcl.Task("shoes", train=examples(8)))
    assert list(found) == ["bags", "shoes"]
    assert (shop / "export/shoes/3").is_dir()
    assert not (shop / "export/shoes.removed0").exists()
    names = _results(shop)["task_names"]
    assert names == ["shoes.removed0", "bags", "shoes"]
    assert not np.isnan(learner.accuracy_matrix[-1]).any()


def _bundled(folder):
    (path,) = (folder / "export/bundle").glob("*/assets/model.json")
    return [each["task"] for each in json.loads(path.read_text())["tasks"]]


def test_the_bundle_follows(shop, tasks):
    tfcl.Learner(shop, method(2)).export(bundle=True)
    tasks.rename("shoes", "boots")
    assert _bundled(shop) == ["boots", "bags"]
    tasks.remove("boots")
    assert _bundled(shop) == ["bags"]
    tfcl.Learner(shop, method(2)).learn(tfcl.Task("hats", train=examples(3)))
    # It still is one of all tasks.
    assert _bundled(shop) == ["bags", "hats"]


def test_all_tasks_may_be_removed(shop, tasks):
    tfcl.Learner(shop, method(2)).export(bundle=True)
    tasks.remove("shoes")
    tasks.remove("bags")
    assert not list((shop / "export").iterdir())
    learner = tfcl.Learner(shop, method(2))
    assert learner.tasks == [] and learner.evaluate() == {}
    for bundle in (False, True):
        with pytest.raises(UserError, match="are removed. Learn one"):
            learner.export(bundle=bundle)
    assert list(learner.learn(_SHOES)) == ["shoes"]


def test_a_removed_task_is_called_as_no_other(shop, tasks):
    tasks.rename("bags", "shoes.removed0")
    tasks.remove("shoes")
    names = _results(shop)["task_names"]
    assert names == ["shoes.removed0.0", "shoes.removed0"]
    assert tfcl.Learner(shop, method(2)).tasks == ["shoes.removed0"]


def test_files_of_the_run_tell_the_new_name(shop, tasks, caplog):
    tasks.rename("shoes", "boots")
    spec = json.loads((shop / "spec.json").read_text())
    assert spec["task_names"] == ["boots", "bags"]
    caplog.clear()
    tfcl.Learner(shop, method(2)).predict("boots", _IMAGES)
    assert "not as the run wrote it" not in caplog.text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("hats", "caps", "No learned task 'hats'"),
        ("shoes", "bags", "a task 'bags' already"),
        ("shoes", "a/b", "a task name holds"),
    ],
)
def test_what_cannot_be_renamed_is_refused(old, new, told, shop, tasks):
    before = _results(shop)
    with pytest.raises(UserError, match=told):
        tasks.rename(old, new)
    assert _results(shop) == before


def test_the_data_are_known_under_both_names(tmp_path):
    learn(tmp_path / "run", individual(), stream_of(0, 1))
    tasks = TaskList(tmp_path / "run", individual)
    tasks.rename("task_00", "digits")
    run = open_run(tmp_path / "run", individual(), stream_of(0, 1))
    run.close()
    assert [task.name for task in run.stream] == ["digits", "task_01"]
    assert not any(is_lost(task.train) for task in run.stream)
    last = learn(tmp_path / "run", individual(), stream_of(0, 1, 2))
    assert last.results["task_names"] == ["digits", "task_01", "task_02"]
    assert all(None not in row[:1] for row in last.results["accuracy_matrix"])


def test_the_command_lists_and_changes(shop, tmp_path):
    with ForkedCommands(tmp_path, seconds=120) as run:
        place = f"--model_dir={shop}"
        ended = run("tasks", place)
        assert ended.code == 0 and "shoes" in ended.out, ended
        ended = run("tasks", place, "--rename=shoes=boots", "--remove=bags")
        assert ended.code == 0 and "boots" in ended.out, ended
        assert "bags" not in ended.out
        ended = run("tasks", place, "--rename=boots")
        assert ended.code == 2 and "OLD=NEW" in ended.err
        ended = run("tasks", f"--model_dir={tmp_path / 'none'}")
        assert ended.code == 2, ended
