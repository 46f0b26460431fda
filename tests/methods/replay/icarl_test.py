"""iCaRL: its loss, its means of exemplars, its answers."""

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import toy_run
from tfcl.data.scenario import CLASS
from tfcl.data.scenarios.in_scenario import in_scenario
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.replay.icarl import ICaRL
from tfcl.testing import (
    learned,
    run_method_test,
    tiny_stream,
    tiny_training,
)

_THREE = tiny_stream((2, 2, 2))


def _set_up(**options):
    method = ICaRL(tiny_training(1), capacity=12, **options)
    stream = in_scenario(CLASS, _THREE)
    method.setup(stream.spec(), seed=0)
    return method, stream.tasks


def test_icarl(tmp_path):
    run_method_test(
        lambda: ICaRL(tiny_training(), capacity=30),
        tmp_path,
        forgets=True,
        scenario=CLASS,
    )


def test_kills_change_nothing(tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path,
        lambda: ICaRL(toy_run.toy_training(), capacity=16),
        scenario=CLASS,
    )


def test_the_loss_is_the_papers():
    method, tasks = _set_up()
    method.begin_task(tasks[0])
    method.begin_task(tasks[1])  # Classes 0 and 1 are old, 2 and 3 new.
    labels = np.array([3, 0, 2])
    g, q = np.random.default_rng(0).normal(size=(2, 3, 6)).astype(np.float32)
    found = method.losses(tf.constant(labels), tf.constant(g), tf.constant(q))
    g, q = (1 / (1 + np.exp(-each)) for each in (g, q))
    wanted = []
    for row, label in enumerate(labels):
        total = 0.0
        for y in range(4):
            target = q[row, y] if y < 2 else float(y == label)
            total -= target * np.log(g[row, y])
            total -= (1 - target) * np.log(1 - g[row, y])
        wanted.append(total)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_the_nearest_mean_of_exemplars_answers(tmp_path):
    run = learned(
        tmp_path,
        ICaRL(tiny_training(4), capacity=13),
        CLASS,
        class_counts=(2, 3),
    )
    method, tasks = run.method, run.stream.tasks
    kept = method.exemplars.kept()
    assert [len(numbers) for numbers in kept] == [2] * 5  # 13 // 5
    method.activate(run.bank.load(0, tasks[0].name).values, 0)
    network = method.network()

    def unit(images):
        hidden = network.head.hidden(network.backbone(images)).numpy()
        return hidden / np.linalg.norm(hidden, axis=1, keepdims=True)

    images = tasks[1].test.standardised_at(np.arange(32))
    wanted = []
    for label, numbers in enumerate(kept):
        train = tasks[0 if label < 2 else 1].train
        assert (train.labels[numbers] == label).all()
        mean = unit(train.standardised_at(np.array(numbers))).mean(0)
        mean /= np.linalg.norm(mean)
        wanted.append(-np.square(unit(images) - mean).sum(1))
    found = method.predict(tf.constant(images)).numpy()
    np.testing.assert_allclose(found, np.stack(wanted, 1), atol=1e-5)


def test_a_task_is_learned_with_the_exemplars():
    method, tasks = _set_up()
    for task in tasks[:2]:
        method.begin_task(task)
        method.end_task(task)
    kept = method.exemplars.kept()
    assert [len(numbers) for numbers in kept] == [3, 3, 3, 3, 0, 0]
    mixed = method.mixed(tasks[2], kept)
    labels = np.repeat(np.arange(4), 3)
    np.testing.assert_array_equal(np.sort(mixed.labels[:12]), labels)
    assert len(mixed) == 12 + len(tasks[2].train)
    wanted = tasks[1].train.images[kept[2] + kept[3]]
    np.testing.assert_array_equal(
        np.sort(mixed.images[6:12], 0), np.sort(wanted, 0)
    )


def test_exemplars_given_up_are_those_chosen_last():
    method, tasks = _set_up()
    method.begin_task(tasks[0])
    method.end_task(tasks[0])
    first = method.exemplars.kept()[0]
    method.begin_task(tasks[1])
    method.end_task(tasks[1])
    assert method.exemplars.kept()[0] == first[:3]
    assert len(first) == 6


def test_it_answers_more_classes_than_fine_tuning_and_than_its_outputs(
    tmp_path,
):
    training = tiny_training(12, dropout=0.0)
    found = []
    for number, method in enumerate(
        (
            FineTuning(training),
            ICaRL(training, capacity=30, answer="outputs"),
            ICaRL(training, capacity=30),
        )
    ):
        folder = tmp_path / str(number)
        run = learned(folder, method, CLASS, class_counts=(2, 2, 2))
        found.append(run.results()["metrics"]["task_agnostic_accuracy"])
    assert found[0] + 0.1 < found[1] < found[2] - 0.2, found


def test_the_outputs_of_the_network_may_answer():
    method, tasks = _set_up(answer="outputs")
    method.begin_task(tasks[0])
    method.end_task(tasks[0])
    images = tasks[0].test.standardised_at(np.arange(8))
    network = method.network()
    wanted = network.head.outputs(network.backbone(images)).numpy()[:, :2]
    found = method.predict(tf.constant(images)).numpy()
    np.testing.assert_allclose(found[:, :2], wanted, atol=1e-6)
    plain = network.lower().predict(images, verbose=0)
    np.testing.assert_allclose(plain, wanted, atol=1e-4)


def test_a_run_goes_on_with_more_classes(tmp_path):
    for counts in ((2, 2), (2, 2, 2)):
        method = ICaRL(tiny_training(1), capacity=12)
        run = learned(tmp_path, method, CLASS, class_counts=counts)
    assert [len(k) for k in run.method.exemplars.kept()] == [2] * 6
    assert run.method.head.means.shape == (16, 6)
    assert len(run.journal.visits) == 3


def test_wrong_values_are_refused():
    with pytest.raises(ValueError, match="`answer`"):
        ICaRL(tiny_training(), answer="both")
    with pytest.raises(ValueError, match="`capacity`"):
        ICaRL(tiny_training(), capacity=0)
    method = ICaRL(tiny_training(1), capacity=5)
    with pytest.raises(ValueError, match="`capacity`.*at least 6.*5"):
        method.setup(in_scenario(CLASS, _THREE).spec(), seed=0)
    assert "classes of its own" in method.why_not("domain")
