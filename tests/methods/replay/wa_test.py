"""Weight aligning: the loss, the lengths of the columns, the bias it mends."""

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import toy_run
from tfcl.data.scenario import CLASS
from tfcl.data.scenarios.in_scenario import in_scenario
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.replay.wa import WA
from tfcl.testing import (
    learned,
    run_method_test,
    runner_for,
    tiny_stream,
    tiny_training,
)


def _set_up(**options):
    method = WA(tiny_training(1), capacity=12, **options)
    stream = in_scenario(CLASS, tiny_stream((2, 2, 2)))
    method.setup(stream.spec(), seed=0)
    return method, stream.tasks


def test_weight_aligning(tmp_path):
    run_method_test(
        lambda: WA(tiny_training(12), capacity=30),
        tmp_path,
        forgets=True,
        class_counts=(2, 2, 2),
        scenario=CLASS,
    )


def test_kills_change_nothing(tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path,
        lambda: WA(toy_run.toy_training(), capacity=16, selection="random"),
        scenario=CLASS,
    )


def _logs(logits):
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def test_the_loss_is_the_papers():
    method, tasks = _set_up(temperature=3.0)
    labels = np.array([3, 0, 2])
    now, before = np.random.default_rng(0).normal(size=(2, 3, 6))
    now, before = now.astype(np.float32), before.astype(np.float32)
    # Classes 0 and 1 are old: a share of 1/2 of those seen.
    for task in tasks[:2]:
        method.begin_task(task)
    found = method.losses(*map(tf.constant, (labels, now, before)))
    new = -_logs(now[:, :4])[np.arange(3), labels]
    q, log_p = np.exp(_logs(before[:, :2] / 3)), _logs(now[:, :2] / 3)
    wanted = 0.5 * -(q * log_p).sum(1) + 0.5 * new
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    # The first task has nothing to keep.
    method.begin_task(tasks[0])
    found = method.losses(*map(tf.constant, (labels % 2, now, before)))
    wanted = -_logs(now[:, :2])[np.arange(3), labels % 2]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_new_columns_get_the_mean_length_of_old_ones():
    method, tasks = _set_up(selection="random")
    method.begin_task(tasks[0])
    kernel = np.random.default_rng(0).normal(size=(16, 6)).astype(np.float32)
    kernel[:, 2:] *= 3.0
    method.head.kernels[-1].assign(kernel)
    method.end_task(tasks[0])
    np.testing.assert_array_equal(method.head.kernels[-1], kernel)
    assert method.bank_notes() == {}
    method.begin_task(tasks[1])
    method.end_task(tasks[1])
    found = method.head.kernels[-1].numpy()
    lengths = np.linalg.norm(found, axis=0)
    assert lengths[2:4].mean() == pytest.approx(lengths[:2].mean(), rel=1e-5)
    gamma = method.bank_notes()["gamma"]
    np.testing.assert_allclose(found[:, 2:4], gamma * kernel[:, 2:4], rtol=1e-5)
    for same in (slice(0, 2), slice(4, 6)):
        np.testing.assert_array_equal(found[:, same], kernel[:, same])


def test_random_exemplars_depend_on_the_seed_alone():
    kept = []
    for seed in (0, 0, 1):
        method, tasks = _set_up(selection="random")
        method.seed = seed
        method.end_task(tasks[0])
        kept.append(method.exemplars.kept())
    assert kept[0] == kept[1] != kept[2]
    assert len(set(kept[0][0])) == 6


def test_the_weights_of_the_output_layer_are_positive():
    for positive in (True, False):
        method, tasks = _set_up(positive=positive)
        method.begin_task(tasks[0])
        method.optimizers["main"].learning_rate.assign(0.01)
        phase = method.training.phase()
        runner = runner_for(method, (8, 8, 3))
        order = np.arange(64)
        runner.train(phase, tasks[0].train, order, 0, 4, 16, [1, 2], False)
        hidden, kernel = (k.numpy() for k in method.head.kernels)
        assert (kernel.min() >= 0) == positive
        assert hidden.min() < 0


def test_it_answers_more_classes_than_fine_tuning(tmp_path):
    found = {}
    for name in ("FineTuning", "WA"):
        training = tiny_training(12, dropout=0.0)
        method = FineTuning(training)
        if name == "WA":
            method = WA(training, capacity=30)
        run = learned(tmp_path / name, method, CLASS, class_counts=(2, 2, 2))
        found[name] = run.results()["metrics"]["task_agnostic_accuracy"]
    assert found["WA"] > found["FineTuning"] + 0.2, found
