"""Tasks on faces: persons by angles, measured by pairs; weighted classes."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.methods.cpg.masked_training import BACKBONE
from tests.testing import toy_run
from tfcl.data.pairs import PairSplit, measured_by_pairs
from tfcl.data.task import TaskStream
from tfcl.engine.experiment import Experiment
from tfcl.engine.loop import learn_stream
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.methods.baselines.individual import Individual
from tfcl.methods.cpg.accuracy_goals import OwnGoal
from tfcl.methods.cpg.cpg import CPG
from tfcl.methods.cpg.cpg_phases import PruningLadder
from tfcl.methods.cpg.face_training import FaceTraining
from tfcl.methods.lasem.lasem import LASEM
from tfcl.metrics.verification import angular_distance, verification_accuracy
from tfcl.optimizers.schedules import Constant
from tfcl.optimizers.sgd_nesterov import SGDNesterov
from tfcl.testing import agrees_with_two_replicas, tiny_stream

_COUNTS = (6, 3, 2)


def face_training(epochs=4, **kwargs):
    settings = {
        "verification": ("task_00",),
        "class_weighted": ("task_01",),
        "embedding_units": 8,
        "backbone": BACKBONE,
        "dropout": 0.0,
        "epochs": epochs,
        "schedule": Constant(0.02),
        "optimizer": SGDNesterov,
        "head_bias": 0.0,
        "drop_remainder": False,
    }
    return FaceTraining(**{**settings, **kwargs})


def faces(data_dir=None):
    """A stream whose first task is measured by pairs of its test images."""
    del data_dir
    stream = tiny_stream(_COUNTS, test_size=96)()
    first, *others = stream.tasks
    labels = first.test.labels
    rows = np.stack([np.arange(96), np.arange(96)[::-1]], 1)[:48].ravel()
    pairs = labels[rows].reshape(-1, 2)
    same = np.repeat(pairs[:, 0] == pairs[:, 1], 2).astype(np.int32)
    first = measured_by_pairs(first, (first.test.images[rows], same), 4, 0)
    return TaskStream("faces", [first, *others], stream.batch_size)


def cpg(epochs=12):
    return CPG(
        face_training(epochs),
        OwnGoal(0.2),
        PruningLadder(Constant(1e-3), (0.4,), epochs=2, ramp_epochs=1),
        picking_schedule=Constant(1e-2),
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces") / "run"
    run = Experiment(folder, method=cpg(), stream=faces, exports=False)
    with toy_run.no_figures():
        run.start({})
        learn_stream(run)
    run.close()
    return run


def test_a_task_by_angles_is_measured_by_its_pairs(run):
    record, other, _ = run.results()["tasks"]
    found = record["verification"]
    assert len(found["folds"]) == 10
    assert run.journal.visits[0].row[0] == pytest.approx(
        np.mean(found["folds"])
    )
    assert found["std"] == pytest.approx(np.std(found["folds"]))
    assert "verification" not in other
    assert json.loads((run.model_dir / "results.json").read_text())
    # By hand, from the exported network up to its embedding.
    served = LearnedTasks(run.model_dir, cpg())
    entry = served.find("task_00")
    served.method.activate(entry.values, 0)
    model = served.method.network().lower()
    split = run.stream.tasks[0].test
    assert isinstance(split, PairSplit)
    hidden = entry.preprocessing(tf.constant(split.images))
    for layer in model.layers[1:-1]:
        hidden = layer(hidden)
    distances = angular_distance(hidden[::2], hidden[1::2])
    wanted = verification_accuracy(distances, split.same)
    np.testing.assert_allclose(found["folds"], wanted.fold_accuracies)


def test_all_kinds_of_tasks_are_learned(run):
    matrix = run.journal.accuracy_matrix(3)
    assert matrix[0, 0] > 0.7  # of pairs, by chance 0.5 to 0.8
    assert matrix[1, 1] > 0.6
    assert matrix[2, 2] > 0.75
    # Nothing is forgotten, measured by pairs or not.
    np.testing.assert_array_equal(matrix[2, :2], np.diag(matrix)[:2])
    traces = {k: n for k, n in run.runner.traces.items() if n != 1}
    assert not traces, traces


def test_an_exported_task_by_angles_says_what_it_predicts(run):
    served = LearnedTasks(run.model_dir, cpg())
    entry = served.find("task_00")
    images = tf.constant(run.stream.tasks[0].train.images[:8])
    wanted = served.probabilities(entry, images)
    loaded = tf.saved_model.load(str(served.export(entry)))
    found = loaded.signatures["serving_default"](images)
    np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-5)
    served.method.activate(entry.values, 0)
    embeddings = served.method.embed(entry.preprocessing(images))
    assert embeddings.shape == (8, 8)
    np.testing.assert_allclose(found["embeddings"], embeddings, atol=1e-5)


def test_kills_change_nothing(tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path, lambda: cpg(1), moments=2, stream=faces
    )


def test_replicas_agree():
    def weighted():
        # Of the tasks of a plain stream.
        return Individual(face_training(class_weighted=("task_00", "task_01")))

    agrees_with_two_replicas(weighted, (3, 2, 2))


def test_rare_classes_weigh_more():
    stream = faces()
    task = stream.tasks[1]
    rows = np.flatnonzero(task.train.labels != 1)
    rows = np.append(rows, np.flatnonzero(task.train.labels == 1)[:2])
    split = task.train.taken(rows)
    method = Individual(face_training())
    method.setup(stream.spec(), 0)
    method.begin_task(dataclasses.replace(task, train=split))
    counts = np.bincount(split.labels)
    weights = method.training._weights.numpy()
    np.testing.assert_allclose(
        weights[:3], (counts.sum() - counts) / counts, rtol=1e-6
    )
    np.testing.assert_array_equal(weights[3:], 1.0)
    method.begin_task(stream.tasks[2])
    np.testing.assert_array_equal(method.training._weights.numpy(), 1.0)


def test_later_tasks_start_from_the_first_network():
    stream = faces()
    method = Individual(face_training(), start="first")
    method.setup(stream.spec(), 0)
    method.begin_task(stream.tasks[0])
    banked = {0: method.bank_values()}
    method.recall = banked.__getitem__
    for task in stream.tasks[1:]:
        method.begin_task(task)
        for owned in method.network().backbone_variables:
            np.testing.assert_array_equal(
                owned.variable.numpy(), banked[0][owned.name]
            )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"verification": ("moles",)}, "`verification` must name tasks"),
        ({"class_weighted": ("moles",)}, "`class_weighted` must name tasks"),
    ],
)
def test_unknown_tasks_are_refused(options, message):
    method = Individual(face_training(**options))
    with pytest.raises(ValueError, match=message):
        method.setup(faces().spec(), 0)


def test_hidden_layers_are_refused():
    with pytest.raises(ValueError, match="`hidden_units` must be empty"):
        face_training(hidden_units=(4,))


def test_methods_with_a_loss_of_their_own_are_refused():
    with pytest.raises(ValueError, match="a plain TaskTraining for LASEM"):
        LASEM(face_training())
