"""Elastic weight consolidation: Fisher information, springs, behaviour."""

import gin
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import toy_run
from tfcl import configuration
from tfcl.configuration import parts
from tfcl.methods.regularization.drawn_examples import drawn_examples
from tfcl.methods.regularization.ewc import DATA, EWC
from tfcl.optimizers.schedules import Constant
from tfcl.testing import learned, run_method_test, tiny_training


def test_elastic_weights(tmp_path):
    run_method_test(
        lambda: EWC(tiny_training(), strength=10.0), tmp_path, forgets=True
    )


def test_kills_change_nothing(tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path, lambda: EWC(toy_run.toy_training(epochs=1), strength=10.0)
    )


def _first_task(tmp_path, **kwargs):
    return learned(
        tmp_path / "run", EWC(tiny_training(2), **kwargs), class_counts=(3,)
    )


def _gradients(method, image, label):
    variables = [v.variable.value for v in method.shared]
    with tf.GradientTape() as tape:
        logits = method.predict(image[None])
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits([label], logits)
    return [g.numpy() for g in tape.gradient(loss, variables)]


def _standardised(split):
    return (split.images / np.float32(255) - split.mean) / split.std


@pytest.mark.parametrize("examples", [None, 5])
def test_fisher_is_the_mean_square_of_each_examples_gradient(
    tmp_path, examples
):
    run = _first_task(tmp_path, fisher_labels=DATA, fisher_examples=examples)
    split = drawn_examples(
        run.stream.tasks[0].train, examples, run.method.seed, "fisher", 0
    )
    assert len(split) == (examples or 64)
    squares = [
        [g**2 for g in _gradients(run.method, image, label)]
        for image, label in zip(_standardised(split), split.labels)
    ]
    for fisher, *each in zip(run.method.fisher, *squares):
        np.testing.assert_allclose(
            fisher, np.mean(each, axis=0), rtol=1e-3, atol=1e-9
        )


def test_drawn_labels_give_the_expectation_over_the_networks_own(tmp_path):
    run = _first_task(tmp_path)
    split = run.stream.tasks[0].train
    images = _standardised(split)
    probabilities = tf.nn.softmax(run.method.predict(images)).numpy()
    wanted = 0.0
    for image, chances in zip(images, probabilities):
        for label, chance in enumerate(chances):
            square = _gradients(run.method, image, label)[0] ** 2
            wanted += chance * square / len(images)
    found = run.method.fisher[0].numpy()
    # One draw per example: right on average, so compare the whole.
    assert 0.4 < found.sum() / wanted.sum() < 2.5


def test_springs_hold_what_is_important(tmp_path):
    """The stronger, the nearer the backbone stays to the first task's."""
    moved = []
    for strength in (0.0, 1e2, 1e4):
        training = tiny_training(4, schedule=Constant(0.003))
        method = EWC(training, strength=strength, fisher_labels=DATA)
        first = EWC(training, strength=strength, fisher_labels=DATA)
        for each, counts in ((first, (2,)), (method, (2, 2))):
            # The second goes on in the folder of the first.
            learned(tmp_path / f"{strength}", each, class_counts=counts)
        anchors = [v.variable.numpy() for v in first.shared]
        important = sum(
            float(np.sum(f.numpy() * (v.variable.numpy() - a) ** 2))
            for f, v, a in zip(first.fisher, method.shared, anchors)
        )
        moved.append(important)
    assert moved[0] > moved[1] > moved[2]


def test_the_penalty_counts_half_the_strength(tmp_path):
    run = _first_task(tmp_path, strength=6.0)
    method = run.method
    for owned in method.shared:
        owned.variable.assign(owned.variable + 0.5)
    total = sum(float(np.sum(f.numpy())) for f in method.fisher)
    np.testing.assert_allclose(method.penalty(), 3.0 * total * 0.25, rtol=1e-4)


def test_fisher_adds_up_and_may_fade(tmp_path):
    sums = []
    for decay in (1.0, 0.0):
        run = learned(
            tmp_path / f"{decay}",
            EWC(tiny_training(2), fisher_labels=DATA, fisher_decay=decay),
            class_counts=(2, 2),
        )
        sums.append([f.numpy() for f in run.method.fisher])
        fresh = [s.numpy() / 64 for s in run.method._sums]
    for both, last, newest in zip(*sums, fresh):
        assert (both >= last).all() and both.sum() > last.sum()
        np.testing.assert_allclose(last, newest, rtol=1e-5)


def test_online_ewc_fades_by_gamma(tmp_path):
    """F* <- gamma F* + F of the newest task, by the file's gamma."""
    configuration.load(parts.files([], "digits_5", "online_ewc"), [])
    gamma = float(gin.query_parameter("EWC.fisher_decay"))
    gin.clear_config()
    assert 0.0 < gamma < 1.0
    found = []
    for counts in ((2,), (2, 2)):  # The second run goes on with the first.
        method = EWC(tiny_training(2), fisher_decay=gamma)
        learned(tmp_path, method, class_counts=counts)
        found.append([fisher.numpy() for fisher in method.fisher])
    newest = [sums.numpy() / 64 for sums in method._sums]
    for first, both, last in zip(*found, newest):
        np.testing.assert_allclose(both, gamma * first + last, rtol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"strength": -1.0},
        {"fisher_labels": "guess"},
        {"fisher_examples": 0},
        {"fisher_decay": 1.5},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EWC(tiny_training(), **wrong)
