"""A task takes what is free, and does not see what is later."""

import numpy as np
import tensorflow as tf

from tfcl.optimizers.owned_weights import claimed, without_foreign

_OWNER = tf.constant([0, 1, 2, 3, 2], tf.uint8)
_ONES = tf.ones(5)


def test_a_task_claims_what_is_free():
    np.testing.assert_array_equal(claimed(_OWNER, 2), [2, 1, 2, 3, 2])


def test_foreign_values_do_not_even_leave_a_nan():
    broken = tf.constant([np.nan, 1.0, 1.0, np.inf, 1.0])
    assert np.isfinite(without_foreign(broken, _OWNER, 2).numpy()).all()


def test_the_task_may_be_a_variable():
    task = tf.Variable(1, dtype=tf.uint8)
    traced = tf.function(lambda: without_foreign(_ONES, _OWNER, task))
    for number, wanted in ((1, [0, 1, 0, 0, 0]), (3, [0, 1, 1, 1, 1])):
        task.assign(number)
        np.testing.assert_array_equal(traced(), wanted)
