"""Synaptic intelligence: the path integral, what it makes important."""

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import permuted_digits, toy_run
from tfcl.data.scenario import CLASS, DOMAIN, TASK
from tfcl.data.scenarios.in_scenario import in_scenario
from tfcl.methods.regularization.si import SI
from tfcl.testing import (
    first_training,
    run_method_test,
    runner_for,
    tiny_stream,
    tiny_training,
    two_replicas,
)


def test_synaptic_intelligence(tmp_path):
    run_method_test(
        lambda: SI(tiny_training(), strength=0.1), tmp_path, forgets=True
    )


@pytest.mark.parametrize("scenario", [TASK, CLASS])
def test_kills_change_nothing(tmp_path, scenario):
    toy_run.assert_kills_change_nothing(
        tmp_path,
        lambda: SI(toy_run.toy_training(epochs=1), strength=0.1),
        stream=toy_run.toy_stream((2, 2, 2)),
        scenario=scenario,
    )


def _set_up(scenario=TASK, **options):
    method = SI(tiny_training(1, dropout=0.0, **options), strength=2.0)
    stream = in_scenario(scenario, tiny_stream((2, 2, 2)))
    method.setup(stream.spec(), seed=0)
    return method, stream


def _weights(method):
    return [owned.variable.numpy() for owned in method.springs.weights]


def _mean_loss(method, task, rows):
    """Loss of some examples without the penalty, and its gradients."""
    split = task.train
    images = split.images[rows] / np.float32(255) - split.mean
    weights = [v.variable.value for v in method.springs.weights]
    with tf.GradientTape() as tape:
        logits = method.predict(images / split.std)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            split.labels[rows], logits
        )
        loss = tf.reduce_mean(losses)
    return float(loss), [g.numpy() for g in tape.gradient(loss, weights)]


def _one_by_one(method, runner, task, steps=6, size=16, rate=0.01):
    """Steps of a task; gives the sum of -g * change by NumPy."""
    method.begin_task(task)
    phase = first_training(method.phases(task))
    method.optimizers["main"].learning_rate.assign(rate)
    omega = [np.zeros(w.shape) for w in _weights(method)]
    for number in range(steps):
        rows = np.arange(number * size, (number + 1) * size) % len(task.train)
        before = _weights(method)
        _, slopes = _mean_loss(method, task, rows)
        runner.train(phase, task.train, rows, 0, 1, size, [number, 7], False)
        changes = [new - old for new, old in zip(_weights(method), before)]
        omega = [o - g * c for o, g, c in zip(omega, slopes, changes)]
    return omega


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("scenario", [TASK, DOMAIN, CLASS])
def test_the_equations(scenario, optimizer):
    """omega of the optimizer's own steps, without the penalty's gradient."""
    method, stream = _set_up(scenario, optimizer=optimizer)
    runner = runner_for(method, (8, 8, 3))
    wanted = [np.zeros(w.shape) for w in _weights(method)]
    for task in stream.tasks[:2]:
        start = _weights(method)
        omega = _one_by_one(method, runner, task)
        for found, value in zip(method.path_integral, omega):
            np.testing.assert_allclose(found, value, rtol=1e-3, atol=1e-6)
        method.end_task(task)
        for place, value in enumerate(omega):
            moved = _weights(method)[place] - start[place]
            wanted[place] += np.maximum(value, 0.0) / (moved**2 + 1e-3)
            np.testing.assert_allclose(
                method.springs.importance[place],
                wanted[place],
                rtol=2e-3,
                atol=1e-3,
            )
    assert dict(runner.traces) == {"train_step": 1}


def test_two_replicas_add_up_the_same_path():
    found = []
    for strategy in (tf.distribute.get_strategy(), two_replicas()):
        with strategy.scope():
            method, stream = _set_up(optimizer="sgd")
            runner = runner_for(method, (8, 8, 3))
            task = stream.tasks[0]
            method.begin_task(task)
            phase = first_training(method.phases(task))
            method.optimizers["main"].learning_rate.assign(0.05)
            order = np.tile(np.arange(64), 2)
            runner.train(phase, task.train, order, 0, 8, 16, [1, 7], False)
        found.append([v.numpy() for v in method.path_integral])
    assert any(np.abs(value).max() > 1e-6 for value in found[0])
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-2, atol=1e-7)


def test_the_penalty_counts_the_whole_strength():
    method, stream = _set_up()
    method.begin_task(stream.tasks[0])
    for importance in method.springs.importance:
        importance.assign(np.full(importance.shape, 3.0))
    for owned in method.springs.weights:
        owned.variable.assign(owned.variable + 0.5)
    count = sum(w.size for w in _weights(method))
    np.testing.assert_allclose(
        method.penalty(), 2.0 * 3.0 * 0.25 * count, rtol=1e-4
    )


def test_small_steps_add_up_to_the_fall_of_the_loss():
    """What all weights have done is what the loss has lost (eq. 2)."""
    method, stream = _set_up(DOMAIN)
    task, rows = stream.tasks[0], np.arange(64)
    runner = runner_for(method, (8, 8, 3))
    method.begin_task(task)
    before, _ = _mean_loss(method, task, rows)
    phase = first_training(method.phases(task))
    method.optimizers["main"].learning_rate.assign(0.002)
    order = np.tile(rows, 60)
    runner.train(phase, task.train, order, 0, 60, 64, [1, 7], False)
    after, _ = _mean_loss(method, task, rows)
    total = sum(float(np.sum(i.numpy())) for i in method.path_integral)
    assert before - after > 0.1
    np.testing.assert_allclose(total, before - after, rtol=0.05)


def test_less_is_forgotten_than_by_fine_tuning(tmp_path):
    method = SI(permuted_digits.training(), strength=0.1)
    permuted_digits.assert_less_forgotten(tmp_path, method, DOMAIN)


@pytest.mark.parametrize(
    "wrong",
    [{"strength": -1.0}, {"damping": 0.0}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SI(tiny_training(), **wrong)
