"""What trains a task's weights and scores, and leaves all others alone."""

import numpy as np
import pytest
import tensorflow as tf

from tfcl.layers.masked.straight_through import (
    owned_gradient,
    picked,
    picks_of,
    score_gradient,
    straight_through,
)
from tfcl.optimizers.owned_weights import fused_if_large

_OWNER = tf.constant([0, 1, 2, 3, 2], tf.uint8)
_ONES = tf.ones(5)


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
    function = fused_if_large(kernel)(straight_through)
    assert (function is straight_through) == (side == 4)
    own, scores = function(gradient, kernel, owner, 2, 0.25, True)
    wanted = owned_gradient(gradient, kernel, owner, 2, 0.25)
    np.testing.assert_allclose(own, wanted, rtol=1e-6)
    wanted = score_gradient(gradient * kernel, owner, 2)
    np.testing.assert_allclose(scores, wanted, rtol=1e-6)
    (alone,) = function(gradient, kernel, owner, 2, 0.25, False)
    np.testing.assert_array_equal(alone, own)


def test_picks_multiply_forward_and_the_gradient_of_the_product_passes():
    kernel = tf.constant([2.0, -3.0, 4.0, 5.0, 6.0])
    # Strictly above the threshold: the second one is not.
    scores = tf.constant([0.006, 0.005, 0.004, 1.0, -1.0])
    np.testing.assert_array_equal(picks_of(scores), [1, 0, 0, 1, 0])
    with tf.GradientTape() as tape:
        tape.watch([kernel, scores])
        effective = picked(kernel, scores)
        loss = tf.reduce_sum(tf.range(1.0, 6.0) * effective)
    np.testing.assert_array_equal(effective, [2, 0, 0, 5, 0])
    of_kernel, of_scores = tape.gradient(loss, [kernel, scores])
    np.testing.assert_array_equal(of_kernel, [1, 2, 3, 4, 5])
    assert of_scores is None
    # Task 3 owns the fourth weight; the others but the first are older.
    own, scores = straight_through(of_kernel, kernel, _OWNER, 3)
    np.testing.assert_array_equal(own, [0, 0, 0, 4, 0])
    np.testing.assert_array_equal(scores, [0, 2 * -3, 3 * 4, 0, 5 * 6])


def test_foreign_values_do_not_even_leave_a_nan():
    broken = tf.constant([np.nan, 1.0, 1.0, np.inf, 1.0])
    found = [
        owned_gradient(broken, broken, _OWNER, 2, weight_decay=1.0),
        score_gradient(broken, tf.constant([0, 1, 1, 2, 1], tf.uint8), 2),
    ]
    assert all(np.isfinite(value.numpy()).all() for value in found)
