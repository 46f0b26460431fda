"""Tasks of a run are renamed and removed; nothing else changes.

From a terminal tfcl.tasks does it.
"""

import json
import shutil
from unittest import mock

import numpy as np
import pytest

import tfcl
from tests.engine.continuing.growth_test import individual, stream_of
from tests.learner.programs import examples, method
from tests.testing.forked_commands import ForkedCommands
from tests.testing.toy_run import learn, open_run
from tfcl.data.absent import is_lost
from tfcl.engine.serving import written_again
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.engine.storage.checkpoints import Checkpoints, newest_journal
from tfcl.engine.storage.lock import DirectoryLock
from tfcl.errors import RunError, UserError
from tfcl.learner import task_list
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
    assert _results(shop)["task_agnostic"] is None
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
    assert _results(shop)["task_agnostic"]["tasks"] == [1, 2]
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


def test_report_and_figures_tell_the_new_name_at_once(shop, tasks, learned):
    figure = shop / "figures/accuracy_matrix.png"
    figure.write_bytes(b"")
    before = (learned / "report.html").read_text()
    assert ">shoes<" in before
    tasks.rename("shoes", "boots")
    page = (shop / "report.html").read_text()
    assert ">boots<" in page and ">shoes<" not in page
    assert page.count("<section") == before.count("<section")
    assert page.count("<img") == before.count("<img")
    assert figure.read_bytes() == b"undrawn"
    tasks.remove("boots")
    page = (shop / "report.html").read_text()
    assert "boots.removed0" in page and ">boots<" not in page


def test_a_renamed_export_rejects_as_before(shop, tasks):
    tfcl.Learner(shop, method(2)).export(reject_below=0.75)
    tasks.rename("shoes", "boots")
    about = json.loads((shop / "export/boots/2/assets/model.json").read_text())
    assert about["task"] == "boots" and about["reject_below"] == 0.75


class Killed(BaseException):
    """Ends a process at a place."""


# Before the save nothing has happened; behind it, all comes to be.
_PLACES = {
    "save": (Checkpoints, "save"),
    "report": (written_again, "write_all_again"),
    "export": (LearnedTasks, "export"),
    "former exports": (task_list, "_delete_versions"),
    "bundle": (LearnedTasks, "bundle_again"),
}


def _killed_at(place, change, *names):
    with (
        mock.patch.object(*_PLACES[place], side_effect=Killed),
        pytest.raises(Killed),
    ):
        change(*names)


def _finished(shop):
    """What tells the names of the tasks, everywhere."""
    exports = {path.name for path in (shop / "export").iterdir()}
    page = (shop / "report.html").read_text()
    named = {name for name in ("shoes", "boots") if f">{name}<" in page}
    return exports, named, _results(shop)["task_names"], _bundled(shop)


@pytest.fixture(scope="module")
def bundled(learned, tmp_path_factory):
    """The shop with a bundle and a file, too; not to be changed."""
    folder = tmp_path_factory.mktemp("bundled") / "shop"
    shutil.copytree(learned, folder)
    tfcl.Learner(folder, method(2)).export(bundle=True)
    for suffix in (".tflite", ".labels.txt"):
        (folder / f"export/shoes{suffix}").write_text("shoes")
    return folder


@pytest.mark.parametrize("place", _PLACES)
def test_a_kill_leaves_all_as_it_was_or_as_it_is_wished(
    bundled, tmp_path, place
):
    shop = shutil.copytree(bundled, tmp_path / "shop")
    tasks = TaskList(shop, lambda: method(2))
    before = tfcl.Learner(bundled, method(2)).predict("shoes", _IMAGES)
    _killed_at(place, tasks.rename, "shoes", "boots")
    assert tasks.is_cut_short
    name = "shoes" if place == "save" else "boots"
    # Whoever opens the run next makes up for it.
    found = tfcl.Learner(shop, method(2)).predict(name, _IMAGES)
    np.testing.assert_array_equal(found, before)
    assert not tasks.is_cut_short
    files = {f"{name}.tflite", f"{name}.labels.txt"}
    assert _finished(shop) == (
        {"bundle", "bags", name, *files},
        {name},
        [name, "bags"],
        [name, "bags"],
    )


def test_a_removal_that_was_killed_comes_before_the_next_change(shop, tasks):
    _killed_at("report", tasks.remove, "shoes")
    assert (shop / "export/shoes/2").exists()
    tasks.rename("bags", "shoes")
    assert not tasks.is_cut_short
    assert [path.name for path in (shop / "export").iterdir()] == ["shoes"]
    assert _results(shop)["task_names"] == ["shoes.removed0", "shoes"]


def test_learning_makes_up_for_a_kill(shop, tasks):
    _killed_at("report", tasks.rename, "shoes", "boots")
    boots = tfcl.Task("boots", train=_SHOES.train)
    tfcl.Learner(shop, method(2)).learn(boots)  # It is learned already.
    names = {path.name for path in (shop / "export").iterdir()}
    assert names == {"boots", "bags"}


def test_where_nobody_may_write_tasks_are_served_all_the_same(
    shop, tasks, caplog
):
    _killed_at("report", tasks.rename, "shoes", "boots")
    lock = DirectoryLock(shop)  # As if another process had it.
    try:
        assert tfcl.Learner(shop, method(2)).predict("boots", _IMAGES).size
    finally:
        lock.release()
    assert "may not tell of it yet" in caplog.text and tasks.is_cut_short


def test_a_damaged_note_of_a_change_is_named(shop, tasks):
    (shop / "task_change.json").write_text("[]")
    with pytest.raises(RunError, match="task_change.json.*Remove it"):
        tasks.finish()


def test_a_run_of_an_older_version_is_not_changed_by_halves(shop, tasks):
    journal = newest_journal(shop)
    journal.facts = None
    with (
        mock.patch.object(Checkpoints, "newest", return_value=journal),
        mock.patch.object(TaskList, "_learned"),
        pytest.raises(UserError, match="of an older version"),
    ):
        tasks.rename("shoes", "boots")
    assert not tasks.is_cut_short


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
    tasks = TaskList(shop, lambda: method(2))
    with ForkedCommands(tmp_path, seconds=120) as run:
        place = f"--model_dir={shop}"
        ended = run("tasks", place)
        assert ended.code == 0 and "shoes" in ended.out, ended
        _killed_at("report", tasks.rename, "bags", "caps")
        ended = run("tasks", place)
        assert ended.code == 0 and "caps" in ended.out, ended
        assert ">caps<" in (shop / "report.html").read_text()
        _killed_at("report", tasks.rename, "caps", "bags")
        ended = run("export", place, "--task=bags")
        assert ended.code == 0 and not tasks.is_cut_short, ended
        ended = run("tasks", place, "--rename=shoes=boots", "--remove=bags")
        assert ended.code == 0 and "boots" in ended.out, ended
        assert "bags" not in ended.out
        ended = run("tasks", place, "--rename=boots")
        assert ended.code == 2 and "OLD=NEW" in ended.err
        ended = run("tasks", f"--model_dir={tmp_path / 'none'}")
        assert ended.code == 2, ended
