"""Learning without Forgetting: the kept answers, what moves, behaviour."""

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import toy_run
from tfcl.methods.former_network import distillation
from tfcl.methods.regularization.lwf import LwF
from tfcl.testing import (
    learned,
    run_method_test,
    runner_for,
    tiny_stream,
    tiny_training,
)


def test_learning_without_forgetting(tmp_path):
    run_method_test(lambda: LwF(tiny_training()), tmp_path, forgets=True)


def test_kills_change_nothing(tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path,
        lambda: LwF(toy_run.toy_training(epochs=1), warm_up_epochs=1),
    )


def test_distillation_is_the_papers_sum():
    draw = np.random.default_rng(0)
    before, now = draws = draw.normal(size=(2, 5, 3))
    # Probabilities to the power of 1 / T, normalised.
    y, y_hat = (np.exp(z) / np.exp(z).sum(-1, keepdims=True) for z in draws)
    y, y_hat = (p**0.5 / (p**0.5).sum(-1, keepdims=True) for p in (y, y_hat))
    wanted = -(y * np.log(y_hat)).sum(-1)
    np.testing.assert_allclose(distillation(before, now, 2.0), wanted)


def _answers_to_the_second_task(folder, strength):
    """Of the first task's head: before and after the second is learned."""
    images, found = tiny_stream((2, 3))().tasks[1].train.images, []
    for counts in ((2,), (2, 3)):
        method = LwF(tiny_training(6), strength=strength)
        run = learned(folder, method, class_counts=counts)
        entry = run.bank.load(0, run.stream.tasks[0].name)
        method.activate(entry.values, 0)
        logits = method.predict(entry.preprocessing(tf.constant(images)))
        found.append(tf.nn.softmax(logits).numpy()[:, :2])
    return found


def test_old_answers_move_less(tmp_path):
    moved = []
    for strength in (0.0, 30.0):
        found = _answers_to_the_second_task(tmp_path / str(strength), strength)
        moved.append(np.abs(found[1] - found[0]).mean())
    assert moved[0] > 1.3 * moved[1], moved


def test_warm_up_trains_the_output_layer_alone():
    method = LwF(tiny_training(1), warm_up_epochs=2)
    stream = tiny_stream((2, 2))()
    method.setup(stream.spec(), seed=0)
    method.begin_task(stream.tasks[0])
    runner = runner_for(method, (8, 8, 3))
    moved = []
    for phase in method.phases(stream.tasks[0]):
        method.optimizers["main"].learning_rate.assign(0.01)
        before = [owned.variable.numpy() for owned in method.shared]
        data = stream.tasks[0].train
        runner.train(phase, data, np.arange(64), 0, 4, 16, [1, 2], False)
        moved.append(
            {
                owned.name
                for owned, old in zip(method.shared, before)
                if (owned.variable.numpy() != old).any()
            }
        )
    assert moved[0] == {"head/kernel_1", "head/bias_1"}
    assert moved[1] == {owned.name for owned in method.shared}


def test_the_copy_is_the_network_of_before(tmp_path):
    before, after = (
        learned(tmp_path, LwF(tiny_training(1)), class_counts=counts).method
        for counts in ((2,), (2, 2))
    )
    for old, kept in zip(
        before.network().backbone.weights,
        after._before.network.backbone.weights,
    ):
        np.testing.assert_array_equal(old, kept)
    assert after._old.numpy().tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"temperature": 0.0}, "temperature"), ({"strength": -1.0}, "strength")],
)
def test_wrong_values_are_refused(wrong, said):
    with pytest.raises(ValueError, match=f"`{said}`"):
        LwF(tiny_training(), **wrong)
