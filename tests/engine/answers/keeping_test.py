"""Answers of whole runs: when they are measured, and that kills change none."""

import csv
import dataclasses
import functools
import json
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from tests.testing import toy_run
from tfcl.data.absent import AbsentImages, AbsentSplit
from tfcl.data.pairs import PairSplit
from tfcl.data.scenarios.class_incremental_stream import (
    class_incremental_stream,
)
from tfcl.data.synthetic import synthetic_stream
from tfcl.data.task import TaskStream
from tfcl.engine.answers.answer_files import END, AnswerFiles
from tfcl.engine.answers.keeping import keep_end, keep_learned
from tfcl.engine.measurement import Given, Measurement
from tfcl.engine.serving import written_again
from tfcl.engine.storage.bank import Bank
from tfcl.errors import UserError
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.baselines.individual import Individual


def _forgetful():
    """Tasks share a network and train it: earlier ones change."""
    return FineTuning(toy_run.toy_training(), heads="per_task")


def _lasting():
    return Individual(toy_run.toy_training())


_STREAM = toy_run.toy_stream((2, 3, 3))


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory):
    """A run of three tasks of which the first two change later."""
    with toy_run.no_figures():
        folder = tmp_path_factory.mktemp("forgetful") / "run"
        return toy_run.learn(folder, _forgetful(), _STREAM)


def _kept(learned, number):
    task = learned.run.stream.tasks[number]
    files = AnswerFiles.beside(learned.run.bank)
    visits = len(learned.run.stream.visits)
    return task, files.of_visit(number, task.name, visits)[0]


def test_answers_and_probabilities_are_those_of_the_network(forgetful):
    run = forgetful.run
    for number in range(3):
        task, found = _kept(forgetful, number)
        run.evaluator.activated(task, number)
        images = (task.test.images / np.float32(255) - task.test.mean) / (
            task.test.std
        )
        logits = run.method.predict(tf.constant(images))
        wanted = tf.nn.softmax(logits).numpy()
        np.testing.assert_array_equal(found.end.labels, task.test.labels)
        np.testing.assert_array_equal(found.end.given, wanted.argmax(-1))
        np.testing.assert_allclose(found.end.scores, wanted.max(-1), rtol=1e-5)


def test_results_tell_of_both_moments_what_the_matrix_does(forgetful):
    rows = forgetful.results["accuracy_matrix"]
    for number, task in enumerate(forgetful.results["tasks"]):
        told = task["answers"]
        assert task["chance"] == 1 / (2, 3, 3)[number]
        assert told["learned"]["accuracy"] == pytest.approx(
            rows[number][number]
        )
        assert told["learned"]["visits"] == number + 1
        assert sum(told["support"]) == 32
        if number == 2:
            assert told["end"] == "learned"  # Nothing came after it.
            continue
        assert told["end"]["accuracy"] == pytest.approx(rows[-1][number])
        assert told["end"]["visits"] == 3
        assert sum(told["end"]["right"]) == round(32 * rows[-1][number])
    # Something was forgotten, or the test would hold of any answers.
    second = forgetful.results["tasks"][1]["answers"]
    assert second["end"]["right"] != second["learned"]["right"]


def test_files_hold_images_of_the_examples_that_are_shown(forgetful):
    _, found = _kept(forgetful, 0)
    for answers in found.differing().values():
        assert list(answers.images) == answers.shown() != []
        assert answers.without_images == ""


def test_csv_files_are_written_and_mended(forgetful, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(forgetful.run.model_dir, folder)
    names = ("classes.csv", "confusion.csv", "mistakes.csv")
    wanted = {name: (folder / name).read_text() for name in names}
    assert "task_00,end," in wanted["confusion.csv"]
    for name in names:
        (folder / name).unlink()
    written_again.mend_results(folder)
    assert {name: (folder / name).read_text() for name in names} == wanted


def test_tensorboard_shows_both_moments_under_one_tag(forgetful):
    reader = event_accumulator.EventAccumulator(
        str(forgetful.run.model_dir / "tensorboard"), {"images": 0}
    )
    reader.Reload()
    steps = [8, 16, 24]
    for number, step in enumerate(steps):
        for kind in ("confusion", "mistakes"):
            points = reader.Images(f"{kind}/task_0{number}")
            wanted = [step] if number == 2 else [step, steps[-1]]
            assert [point.step for point in points] == wanted


def test_one_trace_serves_all_tasks_and_moments(forgetful):
    assert forgetful.run.runner.traces["answer"] == 1


@pytest.mark.parametrize("method", [_forgetful, _lasting])
def test_kills_change_no_answer(tmp_path, method):
    with toy_run.no_figures():
        with toy_run.Snapshots(tmp_path / "run", tmp_path / "copies") as taken:
            wanted = toy_run.learn(tmp_path / "run", method(), _STREAM)
        assert len(wanted.answers) == 6
        # Around the files of the end, and around those of a task in between.
        about = [
            copy
            for copy in taken.copies
            if "task_N_end" in copy[0] or "task_N_learned" in copy[0]
        ]
        assert len(about) >= 6
        chosen = [about[0], about[len(about) // 2], about[-2], about[-1]]
        for moment, folder in chosen:
            found = toy_run.learn(folder, method(), _STREAM)
            toy_run.assert_same_outcome(found, wanted, moment)


def test_a_longer_stream_ends_as_if_it_had_been_known(tmp_path):
    with toy_run.no_figures():
        short = toy_run.toy_stream((2, 3))
        toy_run.learn(tmp_path / "grown", _forgetful(), short)
        found = toy_run.learn(tmp_path / "grown", _forgetful(), _STREAM)
        wanted = toy_run.learn(tmp_path / "straight", _forgetful(), _STREAM)
    toy_run.assert_same_outcome(found, wanted)


def test_a_finished_run_measures_nothing_again(
    forgetful, tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    shutil.copytree(forgetful.run.model_dir, folder)
    monkeypatch.setattr(Measurement, "answers", None)
    with toy_run.no_figures():
        again = toy_run.learn(folder, _forgetful(), _STREAM)
    assert again.answers == forgetful.answers


def test_a_method_that_forgets_nothing_is_asked_once(tmp_path, monkeypatch):
    asked = []
    original = Measurement.answers

    def counted(self, *args):
        asked.append(args)
        return original(self, *args)

    monkeypatch.setattr(Measurement, "answers", counted)
    with toy_run.no_figures():
        found = toy_run.learn(tmp_path, _lasting(), _STREAM)
    # Each when it was learned, and all of them about all at the end.
    assert len(asked) == 3 + 3 * 3
    ends = [task["answers"]["end"] for task in found.results["tasks"]]
    assert ends == ["learned"] * 3


def test_lost_answers_are_told_and_those_of_the_end_measured(
    forgetful, tmp_path
):
    folder = tmp_path / "run"
    shutil.copytree(forgetful.run.model_dir, folder)
    path = folder / "answers" / "000_task_00_learned.npz"
    path.write_bytes(path.read_bytes()[:-9])
    (folder / "answers" / "000_task_00_end.npz").unlink()
    (folder / "answers" / "002_task_02_learned.npz").unlink()
    with toy_run.no_figures():
        found = toy_run.learn(folder, _forgetful(), _STREAM)
    (line,) = found.results["lost"]
    assert "answers of task 'task_00' cannot be read" in line
    first, _, last = (task["answers"] for task in found.results["tasks"])
    wanted = [task["answers"] for task in forgetful.results["tasks"]]
    assert first["learned"] is None and first["end"] == wanted[0]["end"]
    assert last["learned"] is None
    assert last["end"]["right"] == wanted[2]["learned"]["right"]


def test_a_run_of_a_version_without_answers_reports_without(
    forgetful, tmp_path
):
    folder = tmp_path / "run"
    shutil.copytree(forgetful.run.model_dir, folder)
    shutil.rmtree(folder / "answers")
    (folder / "results.json").unlink()
    assert (folder / "mistakes.csv").exists()
    written_again.mend_results(folder)
    found = json.loads((folder / "results.json").read_text())
    assert found["lost"] == []
    assert all("answers" not in task for task in found["tasks"])
    assert found["tasks"][0]["chance"] == 0.5
    assert not (folder / "mistakes.csv").exists()
    assert found["accuracy_matrix"] == forgetful.results["accuracy_matrix"]


def test_the_report_shows_them(tmp_path):
    toy_run.learn(tmp_path, _forgetful(), toy_run.toy_stream((2, 3)))
    page = (tmp_path / "report.html").read_text()
    assert '<a href="#Answers">' in page
    for words in ("Expected calibration error", "as pattern_", "chance %"):
        assert words in page
    assert "1. task_00: when learned" in page


class _Evaluator:
    """Answers class 0 always; its variables are those of `digest`."""

    def __init__(self, folder):
        self.bank = Bank(folder / "tasks")
        self.digest = "first"

    def activated(self, task, visit):
        del task, visit
        return self.digest

    def answers(self, task):
        task.test.images[:1]  # A pass needs them.
        count = len(task.test)
        return Given(
            np.zeros(count, np.int32),
            np.ones(count, np.float32),
            np.ones(count, np.float32),
        )


def _stream(change):
    """Two tasks, the first of which has another test split."""
    stream = synthetic_stream((2, 2), test_size=16)
    first, second = stream.tasks
    first = dataclasses.replace(first, test=change(first.test))
    return TaskStream("s", (first, second), 16)


def _absent(split):
    def fetch():
        raise UserError("the folder is gone")

    images = AbsentImages(len(split), split.image_shape, fetch)
    return AbsentSplit(
        images,
        split.labels,
        split.mean,
        split.std,
        split.groups,
        split.scale,
        "known",
    )


def test_a_task_whose_images_are_gone_keeps_what_is_known(tmp_path, caplog):
    evaluator, whole = _Evaluator(tmp_path), _stream(lambda split: split)
    files = AnswerFiles.beside(evaluator.bank)
    keep_learned(whole.visits[0], evaluator)
    evaluator.digest = "second"
    keep_end(whole, 1, evaluator)
    before = files.read(0, "task_00", END)
    assert (before.visits, before.digest) == (1, "second")
    evaluator.digest = "third"
    keep_end(_stream(_absent), 2, evaluator)
    after = files.read(0, "task_00", END)
    assert (after.visits, after.digest) == (1, "second")
    assert "'task_00' answers now is not known: the folder" in caplog.text
    assert files.read(1, "task_01", END).visits == 2
    # As long as nothing has changed, no image is needed.
    evaluator.digest = "first"
    keep_end(_stream(_absent), 2, evaluator)
    assert files.read(0, "task_00", END)[1:] == (2, None)


def test_an_earlier_end_counts_while_nothing_changes(tmp_path):
    evaluator, whole = _Evaluator(tmp_path), _stream(lambda split: split)
    files = AnswerFiles.beside(evaluator.bank)
    keep_learned(whole.visits[0], evaluator)
    evaluator.digest = "second"
    keep_end(whole, 1, evaluator)
    keep_end(_stream(_absent), 2, evaluator)
    found = files.read(0, "task_00", END)
    assert found.visits == found.answers.visits == 2


def test_pairs_have_no_classes_to_answer_with(tmp_path):
    def pairs(split):
        same = np.repeat(np.arange(len(split) // 2) % 2, 2)
        return PairSplit(split.images, same, split.mean, split.std, folds=2)

    evaluator, stream = _Evaluator(tmp_path), _stream(pairs)
    keep_learned(stream.visits[0], evaluator)
    keep_end(stream, 1, evaluator)
    assert not (tmp_path / "answers").exists()


def test_only_the_chief_writes(tmp_path):
    evaluator, stream = _Evaluator(tmp_path), _stream(lambda split: split)
    asked = []
    evaluator.answers = lambda task: asked.append(task)
    evaluator.bank = types.SimpleNamespace(
        folder=tmp_path / "tasks", writes=False, first_names={}
    )
    keep_learned(stream.visits[0], evaluator)
    assert len(asked) == 1 and not list(tmp_path.iterdir())


def test_tasks_that_share_one_set_of_answers(tmp_path):
    """Chance and names are those of the classes of all tasks."""
    stream = functools.partial(
        class_incremental_stream, toy_run.toy_stream((2, 3))
    )
    method = FineTuning(toy_run.toy_training(epochs=1), heads="one")
    with toy_run.no_figures():
        found = toy_run.learn(tmp_path, method, stream).results["tasks"]
    assert [task["chance"] for task in found] == [1 / 5, 1 / 5]
    # A task's examples are of its own classes.
    first, second = (task["answers"]["support"] for task in found)
    assert first[2:] == [0, 0, 0] and sum(first) == 32
    assert second[:2] == [0, 0] and sum(second) == 32
    names = found[0]["class_names"]
    rows = csv.DictReader((tmp_path / "classes.csv").open())
    own = [(row["task"], row["class"]) for row in rows]
    tasks = ["task_00"] * 2 + ["task_01"] * 3
    assert own == list(zip(tasks, names, strict=True))
