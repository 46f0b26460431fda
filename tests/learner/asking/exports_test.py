"""Exports of a run of a program, and how quantised ones are measured."""

import shutil

import numpy as np
import pytest

import tfcl
from tfcl.engine.serving import formats
from tfcl.engine.serving.export_options import ExportOptions
from tfcl.engine.serving.quantization import Change, measured_by
from tfcl.errors import UserError
from tfcl.learner.asking.exports import exported
from tfcl.learner.asking.tasks_at_hand import tasks_at_hand
from tfcl.learner.task_list import TaskList
from tfcl.methods import EWC
from tfcl.testing import learned, tiny_training, undrawn_figures


@pytest.fixture(name="learner", scope="module")
def _learner(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    learner = tfcl.Learner(folder, EWC(tiny_training(epochs=2)), image_size=8)
    draw = np.random.default_rng(0)
    with undrawn_figures():
        for name in ("shoes", "bags"):
            labels = np.repeat(["a", "b"], 40)
            images = draw.integers(0, 80, (80, 8, 8, 3), np.uint8)
            images[labels == "b"] += 100
            learner.learn(tfcl.Task(name, train=(images, labels)))
    return learner


def test_test_images_are_those_that_the_run_keeps(learner):
    found = tasks_at_hand(learner.model_dir)
    assert list(found) == ["shoes", "bags"]
    bags = measured_by(found["bags"])
    assert bags.images.shape == (16, 8, 8, 3) and bags.images.dtype == np.uint8
    bright = bags.images.mean((1, 2, 3)) > 90
    np.testing.assert_array_equal(bags.labels, bright)


def test_a_quantised_file_is_measured_by_them(learner, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(
        formats.logging, "info", lambda text, *args: told.append(args[-1])
    )
    (path,) = learner.export(
        tmp_path, tasks=["bags"], form="litert", quantize="float16"
    )
    assert path == tmp_path / "bags.float16.tflite"
    (change,) = [each for each in told if isinstance(each, Change)]
    accuracy = learner.evaluate()["bags"]
    assert change.images == 16 and change.accuracies[0] == accuracy


def test_what_does_not_go_together_is_refused_first(learner):
    with pytest.raises(UserError, match="Add --format=litert"):
        learner.export(quantize="int8")
    with pytest.raises(UserError, match="--bundle is a SavedModel"):
        exported(None, None, None, ExportOptions("keras", bundle=True))
    with pytest.raises(ValueError, match="reject_below"):
        learner.export(reject_below=2.0)


def test_data_that_are_gone_are_said(tmp_path, monkeypatch):
    def gone(*args):
        raise UserError("no data here")

    monkeypatch.setattr(
        "tfcl.learner.asking.tasks_at_hand.configuration.build", gone
    )
    assert tasks_at_hand(tmp_path) == {}


def test_ranges_are_of_the_images_that_the_program_has(learner, tmp_path):
    wish = {"form": "litert", "quantize": "full_integer"}
    few = {"tasks": ["bags"], "representative_images": 5}
    (path,) = learner.export(tmp_path, **few, **wish)
    assert path == tmp_path / "bags.full_integer.tflite"
    # Another program has them not, and is told how to give them.
    method = EWC(tiny_training(epochs=2))
    later = tfcl.Learner(learner.model_dir, method, image_size=8)
    with pytest.raises(UserError, match="'bags', train=...") as caught:
        later.export(tmp_path / "later", **few, **wish)
    assert "not at hand" in str(caught.value)
    later.learn(learner._given["bags"])
    (again,) = later.export(tmp_path / "later", **few, **wish)
    assert len(again.read_bytes()) == pytest.approx(
        len(path.read_bytes()), abs=200
    )


def test_a_renamed_task_has_its_images_still(learner, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(learner.model_dir, folder)
    tasks = TaskList(folder, lambda: EWC(tiny_training(epochs=2)))
    tasks.rename("bags", "sacks")
    found = tasks_at_hand(folder)
    assert list(found) == ["shoes", "sacks"]
    assert found["sacks"].index == 1


def test_so_has_one_whose_stream_has_the_former_name(tmp_path, monkeypatch):
    with undrawn_figures():
        run = learned(tmp_path, _method(), class_counts=(2, 2))
    monkeypatch.setattr(
        "tfcl.learner.asking.tasks_at_hand.configuration.build",
        lambda name: lambda data_dir: run.stream.tasks,
    )
    TaskList(tmp_path, _method).rename("task_00", "birds")
    found = tasks_at_hand(tmp_path)
    assert found["birds"] is run.stream.tasks[0]
    assert found["task_01"] is run.stream.tasks[1]


def _method():
    return EWC(tiny_training(epochs=1))
