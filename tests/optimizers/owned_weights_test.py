"""What trains a task's weights leaves those of others exactly alone."""

import numpy as np
import pytest
import tensorflow as tf

from tfcl.optimizers.owned_weights import (
    claimed,
    gradients_through,
    owned_gradient,
    score_gradient,
    without_foreign,
)

_OWNER = tf.constant([0, 1, 2, 3, 2], tf.uint8)
_ONES = tf.ones(5)


def test_a_task_claims_what_is_free():
    np.testing.assert_array_equal(claimed(_OWNER, 2), [2, 1, 2, 3, 2])


def test_only_own_weights_are_trained_and_decay():
    kernel = tf.constant([1.0, 1.0, 1.0, 1.0, -2.0])
    np.testing.assert_allclose(
        owned_gradient(_ONES, kernel, _OWNER, 2, weight_decay=0.25),
        [0.0, 0.0, 1.25, 0.0, 0.5],
    )


def test_only_scores_of_earlier_tasks_are_trained():
    np.testing.assert_array_equal(
        score_gradient(_ONES, _OWNER, 3), [0, 1, 1, 0, 1]
    )
    assert not score_gradient(_ONES, _OWNER, 1).numpy().any()


@pytest.mark.parametrize("side", [4, 200], ids=["plain", "compiled"])
def test_both_gradients_follow_from_that_of_the_product(side):
    rng = np.random.default_rng(0)
    gradient, kernel = (
        tf.constant(rng.normal(size=(side, side)), tf.float32) for _ in range(2)
    )
    owner = tf.constant(rng.integers(0, 4, (side, side)), tf.uint8)
    own, scores = gradients_through(gradient, kernel, owner, 2, 0.25)
    wanted = owned_gradient(gradient, kernel, owner, 2, 0.25)
    np.testing.assert_allclose(own, wanted, rtol=1e-6)
    wanted = score_gradient(gradient * kernel, owner, 2)
    np.testing.assert_allclose(scores, wanted, rtol=1e-6)
    (alone,) = gradients_through(gradient, kernel, owner, 2, 0.25, False)
    np.testing.assert_array_equal(alone, own)


def test_foreign_values_do_not_even_leave_a_nan():
    broken = tf.constant([np.nan, 1.0, 1.0, np.inf, 1.0])
    found = [
        owned_gradient(broken, broken, _OWNER, 2, weight_decay=1.0),
        score_gradient(broken, tf.constant([0, 1, 1, 2, 1], tf.uint8), 2),
        without_foreign(broken, _OWNER, 2),
    ]
    assert all(np.isfinite(value.numpy()).all() for value in found)


def test_the_task_may_be_a_variable():
    task = tf.Variable(1, dtype=tf.uint8)
    traced = tf.function(lambda: without_foreign(_ONES, _OWNER, task))
    for number, wanted in ((1, [0, 1, 0, 0, 0]), (3, [0, 1, 1, 1, 1])):
        task.assign(number)
        np.testing.assert_array_equal(traced(), wanted)
