"""Heads by choice: what they answer with, who owns them, how they grow."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import toy_run
from tfcl.data.scenario import CLASS, DOMAIN, TASK
from tfcl.data.scenarios.in_scenario import in_scenario
from tfcl.engine.experiment import Experiment
from tfcl.methods import (
    EWC,
    GPM,
    MAS,
    SI,
    SPG,
    FineTuning,
    FrozenBackbone,
    Joint,
    LwF,
    Rehearsal,
)
from tfcl.methods.shared_backbone import GROWING, ONE, PER_TASK
from tfcl.testing import tiny_training

_PLAIN = toy_run.toy_stream((2, 2, 2))
_METHODS = {
    "EWC": EWC,
    "FineTuning": FineTuning,
    "FrozenBackbone": FrozenBackbone,
    "GPM": GPM,
    "Joint": Joint,
    "LwF": LwF,
    "MAS": MAS,
    "Rehearsal": functools.partial(Rehearsal, capacity=8),
    "SI": SI,
    "SPG": lambda _, **options: SPG(
        tiny_training(1, hidden_units=()), **options
    ),
}


def _set_up(make, scenario, **options):
    method = make(tiny_training(1), **options)
    stream = in_scenario(scenario, _PLAIN)
    method.setup(stream.spec(), 0)
    return method, stream


@pytest.mark.parametrize("name", sorted(_METHODS))
def test_the_stream_chooses_the_heads(name):
    make = _METHODS[name]
    known = ONE if name in ("FineTuning", "Rehearsal") else PER_TASK
    for scenario, heads in ((TASK, known), (DOMAIN, ONE), (CLASS, GROWING)):
        method, _ = _set_up(make, scenario)
        assert method.heads == heads
        assert method.needs_task == (heads == PER_TASK)
        slot = {owned.name for owned in method.slot}
        if heads != PER_TASK:
            assert slot == {"head/columns"}


def test_a_growing_head_answers_with_the_classes_seen():
    method, stream = _set_up(FineTuning, CLASS)
    images = tf.zeros((2, 8, 8, 3))
    for seen, task in zip((2, 4, 6), stream):
        method.begin_task(task)
        logits = method.predict(images).numpy()
        assert (logits[:, :seen] > -1e8).all()
        assert (logits[:, seen:] == -1e9).all()
        assert method.answered_classes(0) == task.class_names[:seen]
        banked = method.bank_values()
    # An earlier task answers with what came later, too.
    method.activate({**banked, "head/columns": np.arange(2)}, 0)
    assert (method.predict(images).numpy() > -1e8).all()


def test_one_head_has_all_classes_from_the_start():
    method, stream = _set_up(FineTuning, CLASS, heads=ONE)
    method.begin_task(stream.tasks[0])
    assert (method.predict(tf.zeros((2, 8, 8, 3))).numpy() > -1e8).all()


def test_a_head_cannot_grow_where_classes_are_not_numbered_through():
    with pytest.raises(ValueError, match="'growing' for the scenario 'task'"):
        _set_up(FineTuning, TASK, heads=GROWING)


def test_replay_takes_no_head_per_task():
    with pytest.raises(ValueError, match="heads"):
        Rehearsal(tiny_training(1), capacity=8, heads=PER_TASK)


def test_ewc_holds_the_head_that_tasks_share():
    method, _ = _set_up(EWC, TASK)
    held = len(method.fisher)
    assert not method.widening
    method, _ = _set_up(EWC, CLASS)
    weights = len(method.head_weights)
    assert len(method.fisher) == held + weights
    # The last kernel and bias, and of each what holds it, grow with the
    # classes.
    shapes = [tuple(variable.shape)[-1] for variable in method.widening]
    assert shapes == [6] * 8


def test_lwf_keeps_old_columns_of_one_head_as_one_softmax():
    method, stream = _set_up(LwF, CLASS, temperature=2.0)
    before = np.array([[1.0, -1.0, 0.5, 2.0, 7.0, -3.0]], np.float32)
    now = np.array([[0.0, 1.0, 1.5, 0.3, -4.0, 9.0]], np.float32)
    method.begin_task(stream.tasks[0])
    assert float(method._kept(before, now)[0]) == 0
    method.begin_task(stream.tasks[2])  # After the classes 0..3.
    soft = np.exp(before[0, :4] / 2) / np.exp(before[0, :4] / 2).sum()
    logs = now[0, :4] / 2 - np.log(np.exp(now[0, :4] / 2).sum())
    found = float(method._kept(before, now)[0])
    np.testing.assert_allclose(found, -(soft * logs).sum(), rtol=1e-5)


@pytest.mark.parametrize(
    ("scenario", "columns"), [(CLASS, [(0, 2), (2, 4)]), (DOMAIN, [(0, 2)])]
)
def test_spg_asks_earlier_columns_of_one_head(scenario, columns):
    method, stream = _set_up(_METHODS["SPG"], scenario)
    task = stream.tasks[2]
    method.begin_task(task)
    _, passed = list(method.phases(task))
    assert len(passed.into)
    kernel = method.head.kernels[0].numpy()
    wanted = [kernel[:, a:b].sum(axis=1) for a, b in columns]
    # The own objective comes first.
    found = method._pass._cotangents.numpy()[1 : 1 + len(wanted)]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    head = {id(owned.variable) for owned in method.head_weights}
    assert not head & {id(owned.variable) for owned in method._masked}


@pytest.mark.parametrize("scenario", [DOMAIN, CLASS])
def test_joint_trains_one_head_on_all_data(scenario):
    method, stream = _set_up(Joint, scenario)
    task = stream.tasks[2]
    method.begin_task(task)
    phase = next(method.phases(task))
    labels = [t.train.labels for t in stream]
    np.testing.assert_array_equal(phase.data.labels, np.concatenate(labels))


def test_joint_answers_all_classes_better_than_fine_tuning(tmp_path):
    found = {}
    for make in (Joint, FineTuning):
        method = make(tiny_training(20))
        folder = tmp_path / method.name
        run = toy_run.learn(folder, method, _PLAIN, scenario=CLASS).run
        found[make] = run.results()["metrics"]["task_agnostic_accuracy"]
    assert found[Joint] > found[FineTuning] + 0.2


@pytest.mark.parametrize("make", [EWC, GPM, LwF, MAS, SI])
def test_a_class_incremental_run_goes_on_with_more_classes(make, tmp_path):
    first, more = toy_run.toy_stream((2, 2)), toy_run.toy_stream((2, 2, 2))
    toy_run.learn(tmp_path, make(tiny_training(1)), first, scenario=CLASS)
    run = Experiment(
        tmp_path,
        method=make(tiny_training(1)),
        stream=more,
        scenario=CLASS,
        seed=1,
    )
    try:
        row, noted = run.measure_again()
        assert row == noted
        # The third task's classes are known by name, and no answer yet.
        assert len(run.method.spec.class_names[0]) == 6
        assert len(run.method.answered_classes(0)) == 4
    finally:
        run.close()
    grown = toy_run.learn(
        tmp_path, make(tiny_training(1)), more, scenario=CLASS
    )
    assert len(grown.run.journal.visits) == 3
    assert len(grown.run.method.answered_classes(0)) == 6
