"""Memory-aware synapses: sensitivity of answers, what it holds."""

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import permuted_digits, toy_run
from tfcl.data.scenario import CLASS, DOMAIN, TASK
from tfcl.methods.regularization.drawn_examples import drawn_examples
from tfcl.methods.regularization.mas import MAS
from tfcl.testing import run_method_test, tiny_training


def test_memory_aware_synapses(tmp_path):
    run_method_test(
        lambda: MAS(tiny_training(), strength=0.01), tmp_path, forgets=True
    )


@pytest.mark.parametrize("scenario", [TASK, CLASS])
def test_kills_change_nothing(tmp_path, scenario):
    toy_run.assert_kills_change_nothing(
        tmp_path,
        lambda: MAS(toy_run.toy_training(epochs=1), strength=0.1, examples=9),
        stream=toy_run.toy_stream((2, 2, 2)),
        scenario=scenario,
    )


def _sensitivity(method, task, examples, classes):
    """Mean of |d ||F(x)||^2 / dw| over single images, by NumPy."""
    split = drawn_examples(task.train, examples, method.seed, "importance", 0)
    images = (split.images / np.float32(255) - split.mean) / split.std
    weights = [v.variable.value for v in method.springs.weights]
    each = []
    for image in images:
        with tf.GradientTape() as tape:
            logits = method.predict(image[None])[:, :classes]
            answer = tf.reduce_sum(logits**2)
        each.append([abs(g.numpy()) for g in tape.gradient(answer, weights)])
    return [np.mean(listed, axis=0) for listed in zip(*each)]


@pytest.mark.parametrize(
    ("scenario", "examples"), [(TASK, None), (TASK, 5), (CLASS, 5)]
)
def test_the_equation(tmp_path, scenario, examples):
    """Also where a task has fewer classes than the head has places."""
    counts = (2, 3) if scenario == TASK else (2, 2)
    method = MAS(tiny_training(2), examples=examples)
    stream = toy_run.toy_stream(counts)
    taken = []
    end_task = method.end_task

    def ended(task):
        end_task(task)
        if not taken:
            count = len(task.own_classes or task.class_names)
            found = [v.numpy() for v in method.springs.importance]
            taken.append((found, _sensitivity(method, task, examples, count)))

    method.end_task = ended
    toy_run.learn(tmp_path, method, stream, scenario=scenario)
    found, wanted = taken[0]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-5)
    # The second task's comes on top.
    for before, after in zip(found, method.springs.importance):
        assert (after.numpy() >= before).all()
        assert after.numpy().sum() > before.sum()


def test_the_penalty_counts_the_whole_strength(tmp_path):
    method = MAS(tiny_training(1), strength=6.0)
    toy_run.learn(tmp_path, method, toy_run.toy_stream((2,)))
    for owned in method.springs.weights:
        owned.variable.assign(owned.variable + 0.5)
    total = sum(float(np.sum(v.numpy())) for v in method.springs.importance)
    np.testing.assert_allclose(method.penalty(), 6.0 * total * 0.25, rtol=1e-4)


def test_less_is_forgotten_than_by_fine_tuning(tmp_path):
    method = MAS(permuted_digits.training(), strength=0.01)
    permuted_digits.assert_less_forgotten(tmp_path, method, DOMAIN)


@pytest.mark.parametrize(
    "wrong",
    [{"strength": -1.0}, {"examples": 0}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MAS(tiny_training(), **wrong)
