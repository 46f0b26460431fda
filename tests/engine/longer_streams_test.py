"""A finished run goes on: a tiny task, a wider one, more classes."""

import functools
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.methods.class_incremental import class_incremental_test as heads
from tests.methods.cpg.masked_training import masked_training
from tests.testing import toy_run
from tfcl.data.scenarios.class_incremental_stream import (
    class_incremental_stream,
)
from tfcl.data.synthetic import synthetic_stream
from tfcl.data.task import TaskStream
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.errors import UserError
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.baselines.individual import Individual
from tfcl.methods.baselines.rehearsal import Rehearsal
from tfcl.methods.class_incremental.task_heads import TaskHeads
from tfcl.methods.cpg.accuracy_goals import SameGoal
from tfcl.methods.cpg.cpg import CPG
from tfcl.methods.cpg.cpg_phases import PickAgain, PruningLadder
from tfcl.methods.cpg.packnet import PackNet
from tfcl.methods.expansion.den import DEN
from tfcl.methods.lasem.brute_force import BruteForce
from tfcl.methods.work import Phase
from tfcl.optimizers.schedules import Constant
from tfcl.testing import tiny_training


def _cpg(picks=True):
    again = PickAgain(Constant(1e-3), Constant(1e-3), epochs=1)
    return CPG(
        masked_training(1, 0.02),
        SameGoal(0.0),
        PruningLadder(Constant(1e-3), (0.5,), epochs=1, ramp_epochs=1),
        picking_schedule=Constant(1e-2) if picks else None,
        pick_again=again if picks else None,
        picks=picks,
    )


_MAKERS = {
    "CPG": _cpg,
    "PAE": functools.partial(_cpg, picks=False),
    "PackNet": lambda: PackNet(
        masked_training(1, 0.02), 0.5, retraining_epochs=0
    ),
    "DEN": lambda: DEN(
        toy_run.toy_training(epochs=1), expansion=2, loss_threshold=0.0
    ),
    "BruteForce": lambda: BruteForce(toy_run.toy_training(epochs=1)),
    "Individual": lambda: Individual(toy_run.toy_training(epochs=1)),
}
_KEEPING = ("CPG", "PAE", "PackNet", "Individual")


def _logits(run, index):
    """Of a finished task, on its own test images."""
    task = run.stream.tasks[index]
    entry = run.bank.load(index, task.name)
    run.method.activate(entry.values, index)
    images = entry.preprocessing(tf.constant(task.test.images))
    logits = run.method.predict(images).numpy()
    return logits[:, : task.num_classes]


@pytest.mark.parametrize("name", sorted(_MAKERS))
def test_a_wider_task_is_learned_behind_the_others(name, tmp_path):
    make = _MAKERS[name]
    first = toy_run.learn(tmp_path, make(), toy_run.toy_stream((2, 2)))
    before = [_logits(first.run, index) for index in range(2)]
    longer = toy_run.toy_stream((2, 2, 4))
    second = toy_run.learn(tmp_path, make(), longer)
    assert second.found == 2
    assert second.run.journal.accuracy_matrix(3).shape == (3, 3)
    if name in _KEEPING:
        for index, logits in enumerate(before):
            np.testing.assert_array_equal(_logits(second.run, index), logits)


def test_a_task_smaller_than_a_batch_is_learned_behind_the_others(tmp_path):
    make = _MAKERS["Individual"]
    known = toy_run.toy_stream((2, 2))
    first = toy_run.learn(tmp_path, make(), known)
    before = [_logits(first.run, index) for index in range(2)]

    def longer(data_dir=None):
        tasks = list(toy_run.toy_stream((2, 2, 2))(data_dir=data_dir).tasks)
        tiny = synthetic_stream((2, 2, 2), train_size=12, batch_size=4).tasks[2]
        return TaskStream("synthetic", [*tasks[:2], tiny], 16)

    second = toy_run.learn(tmp_path, make(), longer)
    assert second.found == 2
    record = second.results["tasks"][2]
    assert record["sizes"]["train"] == 12
    # One step an epoch, not none.
    assert record["steps"] == record["epochs"] == 1
    for index, logits in enumerate(before):
        np.testing.assert_array_equal(_logits(second.run, index), logits)


class _Halves(Individual):
    """Trains on a part of a task that is less than a batch."""

    def phases(self, task):
        part = task.train.taken(np.arange(5))
        (phase,) = super().phases(task)
        yield Phase("half", 1, phase.rates, data=part, drop_remainder=True)


def test_a_part_smaller_than_a_batch_makes_one_step(tmp_path):
    method = _Halves(toy_run.toy_training(epochs=1))
    found = toy_run.learn(tmp_path, method, toy_run.toy_stream((2,)))
    assert found.results["tasks"][0]["steps"] == 1


# Class-incremental


def _classes(*counts):
    return functools.partial(
        class_incremental_stream, toy_run.toy_stream(counts)
    )


_GROWING = {
    "FineTuning": lambda: FineTuning(tiny_training(1)),
    "Rehearsal": lambda: Rehearsal(tiny_training(1), capacity=16),
    "linear": functools.partial(heads._method, head="linear"),
    "memory": functools.partial(heads._method, head="memory"),
}


@pytest.mark.parametrize("name", sorted(_GROWING))
def test_a_class_incremental_run_goes_on_with_more_classes(name, tmp_path):
    make = _GROWING[name]
    first = toy_run.learn(tmp_path, make(), _classes(2, 2)).run
    images = tf.random.stateless_uniform((5, 8, 8, 3), (0, 1))
    before = first.method.predict(images).numpy()
    assert before.shape == (5, 4)
    # Opened with more classes, before anything new is learned.
    run = toy_run.open_run(tmp_path, make(), _classes(2, 2, 2))
    run.start({})
    opened = run.method.predict(images).numpy()
    run.close()
    known = {owned.name: owned.variable for owned in first.method.shared}
    for owned in run.method.shared:
        value = known[owned.name].numpy()
        block = tuple(slice(0, size) for size in value.shape)
        np.testing.assert_array_equal(owned.variable.numpy()[block], value)
    if name == "memory":
        # One matrix product for all tasks: its width may move the last bit.
        np.testing.assert_allclose(opened[:, :4], before, rtol=1e-6)
    else:
        np.testing.assert_array_equal(opened[:, :4], before)
    second = toy_run.learn(tmp_path, make(), _classes(2, 2, 2))
    assert second.found == 2
    assert second.run.method.predict(images).shape == (5, 6)
    # Old tasks are measured among all classes, and serve all of them.
    served = LearnedTasks(tmp_path, make())
    entry = served.find("task_00")
    assert len(entry.class_names) == 6
    raw = tf.constant(second.run.stream.tasks[0].test.images[:5])
    assert served.probabilities(entry, raw).shape == (5, 6)
    task = second.run.stream.tasks[0]
    logits = second.run.method.predict(
        entry.preprocessing(tf.constant(task.test.images))
    )
    right = np.mean(np.argmax(logits, -1) == task.test.labels)
    matrix = second.run.journal.accuracy_matrix(3)
    assert matrix[2, 0] == pytest.approx(right)


def test_heads_refuse_what_is_no_continuation():
    for kind in ("memory", "linear"):
        known = TaskHeads(kind, (2, 3, 2), {})
        known.check_follows((2, 3))
        with pytest.raises(UserError, match=r"has learned tasks of \(3, 2\)"):
            known.check_follows((3, 2))
    # Units of a memory are as long as the largest task is wide, and may have
    # something behind that.
    for kind in ("memory", "linear"):
        TaskHeads(kind, (2, 3), {}).check_follows((2,))
    normed = TaskHeads("memory", (2, 3), {"layer_norm": "deviation"})
    normed.check_follows((2, 3))
    with pytest.raises(UserError, match="2 classes in this run, and a new"):
        normed.check_follows((2,))


def test_a_wider_task_is_learned_behind_memory_heads(tmp_path):
    known = functools.partial(heads._method, head="memory")
    wider = functools.partial(known, first_classes=2, classes_per_task=3)
    first = toy_run.learn(tmp_path, known(), _classes(2)).run
    images = tf.random.stateless_uniform((5, 8, 8, 3), (0, 1))
    before = first.method.predict(images).numpy()
    run = toy_run.open_run(tmp_path, wider(), _classes(2, 3))
    run.start({})
    opened = run.method.predict(images).numpy()
    run.close()
    np.testing.assert_allclose(opened[:, :2], before, rtol=1e-6)
    (old,) = first.method.network().memory_heads
    (new,) = run.method.network().memory_heads
    assert new.memories.shape[1] * 2 == old.memories.shape[1] * 3
    second = toy_run.learn(tmp_path, wider(), _classes(2, 3))
    assert second.found == 1
    matrix = second.run.journal.accuracy_matrix(2)
    assert matrix[1].min() > 0.5, matrix  # Chance is 0.2.
    served = LearnedTasks(tmp_path, wider())
    logits = served.method.predict(images).numpy()
    np.testing.assert_array_equal(logits, second.run.method.predict(images))


def test_a_wider_task_for_normed_memories_is_refused_before_it(tmp_path):
    memory = {**heads._MEMORY, "layer_norm": "deviation"}
    known = functools.partial(heads._method, head="memory", memory=memory)
    toy_run.learn(tmp_path, known(), _classes(2))
    wider = known(first_classes=2, classes_per_task=3)
    with pytest.raises(UserError, match="Cut it into tasks of at most 2"):
        toy_run.open_run(tmp_path, wider, _classes(2, 3))


def test_other_classes_of_a_learned_task_are_still_refused(tmp_path):
    make = _GROWING["FineTuning"]
    toy_run.learn(tmp_path, make(), _classes(2, 2))
    with pytest.raises(UserError, match="chosen from the classes of all"):
        toy_run.open_run(tmp_path, make(), _classes(3, 3))


def test_a_run_of_earlier_versions_goes_on(tmp_path):
    """Their fingerprints hold the classes of all tasks."""
    stream = _classes(2, 2)()
    for task in stream:
        assert task.fingerprint() != task.former_fingerprint()
    plain = toy_run.toy_stream((2, 2))()
    for task in plain:
        assert task.fingerprint() == task.former_fingerprint()
    run = toy_run.learn(tmp_path, _GROWING["FineTuning"](), _classes(2, 2)).run
    for record, task in zip(run.journal.visits, stream):
        record.fingerprint = task.former_fingerprint()
    run._checkpoints.save(run.method, run.journal)
    again = toy_run.open_run(tmp_path, _GROWING["FineTuning"](), _classes(2, 2))
    again.close()
    assert json.loads((tmp_path / "results.json").read_text())["finished"]
