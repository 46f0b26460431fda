"""What reports are handed: plain values of stream and tasks."""

import dataclasses

import numpy as np
import tensorflow as tf

from tests.engine.training.parts import STREAM, FakeMethod
from tests.testing import toy_run
from tests.testing.running import plain_split
from tfcl.data.scenarios.repeated_stream import repeated_stream
from tfcl.engine.outputs import run_facts, split_points


def test_facts_are_those_of_stream_and_run():
    method = FakeMethod()
    method.name = "Fake"
    stream = repeated_stream(lambda data_dir: STREAM, [0, 1, 0])
    facts = run_facts(
        method,
        stream,
        seed=2,
        command="train",
        distribution="mirrored",
        replicas=4,
    )
    assert (facts.method, facts.stream) == ("Fake", stream.name)
    assert (facts.seed, facts.command) == (2, "train")
    assert (facts.distribution, facts.replicas) == ("mirrored", 4)
    assert facts.task_names == ("task_00", "task_01")
    assert facts.test_sizes == tuple(len(task.test) for task in STREAM)
    assert facts.order == (0, 1, 0)


def test_points_have_class_and_distribution_and_domain_where_known():
    points = np.array([[0.5, -0.5], [0.0, 1.0]])
    split = plain_split(points.reshape(2, 1, 1, 2), np.array([1, 0], np.int32))
    task = dataclasses.replace(
        STREAM.tasks[0], train=split, validation=split, test=split
    )
    found = split_points(task)
    assert list(found) == ["train", "validation", "test"]
    np.testing.assert_array_equal(found["test"].points, points)
    assert list(found["test"].kinds) == ["class", "distribution"]
    np.testing.assert_array_equal(found["test"].kinds["class"], [1, 0])
    known = split_points(dataclasses.replace(task, domains=(7,)))
    np.testing.assert_array_equal(known["train"].kinds["domain"], [7, 7])
    assert split_points(STREAM.tasks[0]) is None  # Of images.


def test_a_worker_that_is_no_chief_writes_nothing(tmp_path):
    with toy_run.no_figures():
        run = toy_run.learn(tmp_path / "run", stream=toy_run.toy_stream((2,)))
    outputs = run.run.outputs
    (tmp_path / "other").mkdir()
    outputs.model_dir = tmp_path / "other"
    outputs._writes = False
    assert outputs.publish()["task_names"] == ["task_00"]

    class Observer:
        closed = False

        def close(self, finished=False):
            self.closed = True

    observer = Observer()
    outputs.finish(observer, True, run.run.evaluator)
    assert observer.closed
    assert not list((tmp_path / "other").iterdir())


def test_the_chief_exports_every_task(tmp_path):
    found = toy_run.learn(
        tmp_path, stream=toy_run.toy_stream((2,)), exports=True
    )
    task = found.run.stream.tasks[0]
    loaded = tf.saved_model.load(str(tmp_path / "export" / task.name / "1"))
    assert loaded.signatures
    assert (tmp_path / "report.html").exists()
