"""Runs out of files as the published CPG program writes them."""

import gin
import numpy as np
import pytest
import tensorflow as tf

from tests.methods.cpg.face_training_test import face_training
from tests.methods.cpg.published_networks import (
    BACKBONES,
    CLASSES,
    Checkpoint,
    assert_answers,
    cpg,
    published,
    refusal,
    resnet,
    sphere,
    taken,
    vgg,
)
from tests.testing import toy_run
from tests.testing.torch_saving import save_archive, save_stream, saved
from tfcl import configuration
from tfcl.engine.experiment import Experiment
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.errors import UserError
from tfcl.testing import learned, tiny_stream


@pytest.mark.parametrize(
    "network, save, prefix",
    [
        (vgg, save_archive, ""),
        (resnet, save_stream, "module."),
        (sphere, save_stream, ""),
    ],
)
def test_every_imported_task_answers_as_the_file_says(
    network, save, prefix, tmp_path
):
    file = Checkpoint(network, (1.0, 1.5, 1.5), CLASSES)
    path = tmp_path / "checkpoint.pth"
    file.save(save, path, prefix=prefix)
    method = cpg(network, published(path))
    banked = taken(method)
    path.unlink()  # A later task needs it no more.
    assert_answers(file, method, banked)
    assert [values["width"] for values in banked] == [1.0, 1.5, 1.5]


@pytest.fixture(scope="module", name="checkpoint")
def _checkpoint(tmp_path_factory):
    file = Checkpoint(vgg, (1.0, 1.0, 1.5), CLASSES)
    path = tmp_path_factory.mktemp("published") / "checkpoint.pth"
    file.save(save_stream, path)
    return file, path


def test_a_run_of_a_file_is_measured_again_and_exported(checkpoint, tmp_path):
    _, path = checkpoint
    run = learned(tmp_path, cpg(vgg, published(path)), class_counts=CLASSES)
    matrix = run.journal.accuracy_matrix(3)
    for row in range(3):
        np.testing.assert_array_equal(
            matrix[row, : row + 1], np.diag(matrix)[: row + 1]
        )
    again = Experiment(
        tmp_path,
        method=cpg(vgg, published(path)),
        stream=tiny_stream(CLASSES),
    )
    now, recorded = again.measure_again()
    again.close()
    assert now == recorded == list(matrix[2])
    tasks = LearnedTasks(tmp_path, cpg(vgg, published(path)))
    entry = tasks.find("task_01")
    images = tf.constant(run.stream.tasks[1].test.images)
    loaded = tf.saved_model.load(str(tasks.export(entry)))
    answers = loaded.signatures["serving_default"](images)
    wanted = tasks.probabilities(entry, images)
    np.testing.assert_allclose(answers["probabilities"], wanted, atol=1e-5)


@pytest.mark.parametrize(
    "free", [True, pytest.param(False, marks=pytest.mark.large)]
)
def test_a_further_task_is_learned_on_top(free, tmp_path):
    file = Checkpoint(vgg, (1.0, 1.0, 1.5), CLASSES, free)
    path = tmp_path / "checkpoint.pth"
    file.save(save_stream, path)
    folder, logits = tmp_path / "run", []
    for counts in (CLASSES, (*CLASSES, 2)):
        method = cpg(vgg, published(path))
        run = learned(folder, method, class_counts=counts)
        for index, task in enumerate(run.stream.tasks[:3]):
            method.activate(run.bank.load(index, task.name).values, index)
            images = task.test.images.astype(np.float32)
            logits.append(method.predict(images).numpy())
        path.unlink(missing_ok=True)  # The run needs it no more.
    for before, after in zip(logits[:3], logits[3:]):
        np.testing.assert_array_equal(before, after)
    records = run.results()["tasks"]
    notes = [record["method"] for record in records]
    assert [n["published"] for n in notes[:3]] == list(file.names)
    assert [n["width"] for n in notes] == [1.0, 1.0, 1.5, 1.5]
    assert "published" not in notes[3]
    assert (records[3]["phases"][0]["value"] > 0) is free


def test_persons_are_told_apart_by_the_embedding_of_the_file(tmp_path):
    file = Checkpoint(sphere, (1.0, 1.0, 1.0), CLASSES, units=8)
    path = tmp_path / "face.pth"
    file.save(save_stream, path)
    training = face_training(1, backbone=BACKBONES[sphere], class_weighted=())
    method = cpg(sphere, published(path), training)
    assert_answers(file, method, taken(method))


@pytest.mark.large
def test_kills_change_nothing(checkpoint, tmp_path):
    _, path = checkpoint
    toy_run.assert_kills_change_nothing(
        tmp_path,
        lambda: cpg(vgg, published(path)),
        moments=2,
        stream=tiny_stream(CLASSES),
    )


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"tasks": ("task_01",)},
            "stream must begin with these tasks, task_01",
        ),
        ({"classes": (2, 2, 2)}, r"shapes \[\(3, 12\), .*needs \[\(2, 12\)"),
        ({"max_width": 1.2}, "task 'task_02' at width 1.5, .* CPG.max_width"),
        ({"classifier": "heads.{index}"}, "has no classifier|unknown: 'class"),
        ({"widths": {"task_00": 2.0}}, "other sizes for task 'task_00'"),
    ],
)
def test_options_that_do_not_fit_the_file_are_named(options, message, tmp_path):
    file = Checkpoint(vgg, (1.0, 1.0, 1.5), CLASSES)
    found = refusal(tmp_path, file.content(), **options)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(found)


def test_other_names_are_said_by_arguments(checkpoint, tmp_path):
    file, _ = checkpoint
    content = file.content()
    for info in content["shared_layer_info"].values():
        info["scores"] = info.pop("piggymask")
        info["q"] = info.pop("network_width_multiplier")
        info["moments"] = {"features.0": np.ones(3, "<f4")}
    state = {
        k.replace("classifiers", "heads").replace("piggymask", "scores"): v
        for k, v in content.pop("model_state_dict").items()
    }
    for old, new in (("masks", "A"), ("shared_layer_info", "own")):
        content[new] = content.pop(old)
    content["state_dict"] = {**state, "extra.w": np.ones(2, "<f4")}
    path = tmp_path / "other.pth"
    saved(save_archive, path, content)
    source = published(
        path,
        classifier="heads.{index}",
        masks="A",
        task_layers="own",
        picks="scores",
        width="q",
        widths={"task_02": 1.5},
        ignored=("extra", "moments"),
    )
    method = cpg(vgg, source)
    assert_answers(file, method, taken(method))


def test_another_file_in_the_middle_is_refused(checkpoint, tmp_path):
    _, path = checkpoint
    other = tmp_path / "other.pth"
    file = Checkpoint(vgg, (1.0, 1.0, 1.5), CLASSES)
    file.kernels["features.0"] *= np.float32(2)
    file.save(save_stream, other)
    stream = tiny_stream(CLASSES)()
    method = cpg(vgg, published(path))
    method.setup(stream.spec(), seed=0)
    method.begin_task(stream.tasks[0])
    method.published.give(stream.tasks[0], method)
    method.recall = lambda index: method.bank_values()
    method.begin_task(stream.tasks[1])
    method.published = published(other)
    with pytest.raises(UserError, match="differs in layer 'conv_0' from what"):
        method.published.give(stream.tasks[1], method)


def test_the_gin_file_names_the_tasks_of_its_stream():
    files = ["streams/cifar100_superclasses", "methods/cpg"]
    files = [
        f"gin/{name}.gin" for name in (*files, "checkpoints/cpg_published")
    ]
    path = "none/checkpoint.pth"
    try:
        configuration.load(files, [f"PublishedCheckpoint.file = '{path}'"])
        tasks = gin.query_parameter("PublishedCheckpoint.tasks")
        assert tasks == gin.query_parameter("class_split_stream.task_names")
        method = configuration.build("Experiment.method")
        assert method.published.tasks == tuple(tasks)
        with pytest.raises(UserError, match=f"no file '{path}'"):
            configuration.refuse_missing_files()
    finally:
        gin.clear_config()
