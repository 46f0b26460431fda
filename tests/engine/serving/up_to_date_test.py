"""A run that learns a further task writes its exports again."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tfcl.engine.serving import litert, up_to_date
from tfcl.engine.serving.export_options import ExportOptions
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.engine.serving.quantization import Examples, examples_of
from tfcl.methods import EWC
from tfcl.testing import learned, tiny_training, undrawn_figures

_IMAGE = np.full((1, 8, 8, 3), 99, np.uint8)


def _method():
    return EWC(tiny_training(epochs=1, hidden_units=()))


def _learned(folder, *counts):
    with undrawn_figures():
        return learned(folder, _method(), class_counts=counts)


def _served(path):
    return tf.saved_model.load(str(path)).signatures["serving_default"]


def _about(path):
    return json.loads((path / "assets" / "model.json").read_text())


def test_what_was_exported_is_written_again(tmp_path):
    _learned(tmp_path, 2, 3)
    tasks, export = LearnedTasks(tmp_path, _method()), tmp_path / "export"
    assert not export.exists()
    entries = [tasks.find(name) for name in tasks.names]
    sure = ExportOptions(reject_below=0.75)
    tasks.export_bundle(entries, options=sure)
    for entry in entries:
        tasks.export(entry, options=sure)
    tasks.export(entries[1], options=ExportOptions("litert", "int8"))
    before = (export / "task_01.int8.tflite").read_bytes()
    _learned(tmp_path, 2, 3, 2)
    now = LearnedTasks(tmp_path, _method())
    # EWC's shared network has changed, the new task is there; the file of
    # one task alone stays that of one.
    assert sorted(each.name for each in export.iterdir()) == [
        *("bundle", "task_00", "task_01", "task_01.int8.tflite"),
        *("task_01.labels.txt", "task_02"),
    ]
    assert (export / "task_01.int8.tflite").read_bytes() != before
    pixels = tf.random.stateless_uniform((3, 8, 8, 3), (1, 2)) * 255.0
    images = tf.cast(pixels, tf.uint8)
    for number, name in enumerate(now.names):
        (path,) = (export / name).iterdir()
        assert path.name == "3" and _about(path)["reject_below"] == 0.75
        wanted = now.probabilities(now.find(name), images)
        found = _served(path)(images=images)["probabilities"]
        tf.debugging.assert_near(found, wanted, atol=1e-5)
        (path,) = (export / "bundle").iterdir()
        assert path.name == "3" and _about(path)["reject_below"] == 0.75
        found = _served(path)(images=images, tasks=tf.fill((3,), number))
        found = found["probabilities"][:, : wanted.shape[1]]
        tf.debugging.assert_near(found, wanted, atol=1e-5)


def test_files_that_are_integer_throughout_are_written_again(tmp_path):
    run = _learned(tmp_path, 2, 3)
    tasks, export = LearnedTasks(tmp_path, _method()), tmp_path / "export"
    options = ExportOptions("litert", "full_integer")
    for task in run.stream.tasks:
        examples = examples_of(task, options, tasks.seed)
        tasks.export(tasks.find(task.name), None, options, examples)
    before = (export / "task_01.full_integer.tflite").read_bytes()
    run = _learned(tmp_path, 2, 3, 2)
    # The newest has what all others have.
    assert sorted(each.name for each in export.glob("*.tflite")) == [
        f"task_{number:02d}.full_integer.tflite" for number in range(3)
    ]
    now = (export / "task_01.full_integer.tflite").read_bytes()
    assert now != before
    again, tasks = tmp_path / "again", LearnedTasks(tmp_path, _method())
    examples = examples_of(run.stream.tasks[1], options, tasks.seed)
    path = tasks.export(tasks.find("task_01"), again, options, examples)
    assert litert.runner(path.read_bytes())(_IMAGE) == pytest.approx(
        litert.runner(now)(_IMAGE)
    )


def test_one_without_images_stays_and_is_said(tmp_path, monkeypatch):
    run = _learned(tmp_path, 2)
    tasks, export = LearnedTasks(tmp_path, _method()), tmp_path / "export"
    options = ExportOptions("litert", "full_integer")
    (task,) = run.stream.tasks
    examples = examples_of(task, options, tasks.seed)
    entry = tasks.find(task.name)
    path = tasks.export(entry, None, options, examples)
    was, said = path.read_bytes(), []
    monkeypatch.setattr(
        up_to_date.logging, "warning", lambda text, *args: said.append(args)
    )
    written = up_to_date.bring_up_to_date(
        tasks.method, [entry], export, tasks._facts, lambda *_: Examples()
    )
    assert not written and path.read_bytes() == was
    assert "are not at hand" in str(said[0][0])


def test_a_bundle_of_some_tasks_stays_one_of_these(tmp_path):
    _learned(tmp_path, 2, 3)
    tasks = LearnedTasks(tmp_path, _method())
    tasks.export_bundle([tasks.find("task_01")])
    _learned(tmp_path, 2, 3, 2)
    (path,) = (tmp_path / "export" / "bundle").iterdir()
    about = _about(path)
    assert [each["task"] for each in about["tasks"]] == ["task_01"]
    assert path.name == "3" and not about["all_tasks"]


def test_what_fails_does_not_keep_the_run_from_its_end(tmp_path, monkeypatch):
    _learned(tmp_path, 2, 3)
    tasks = LearnedTasks(tmp_path, _method())
    tasks.export_bundle([tasks.find(name) for name in tasks.names])
    said = []
    monkeypatch.setattr(
        up_to_date.logging, "warning", lambda text, *args: said.append(args)
    )

    def refused(*args):
        raise up_to_date.UserError("no bundle today")

    monkeypatch.setattr(up_to_date, "export_bundle", refused)
    run = _learned(tmp_path, 2, 3, 2)
    assert len(run.journal.visits) == 3
    assert str(said[0][0]) == "no bundle today"
