"""Orders of an epoch and the rows of its batches."""

import numpy as np
import pytest
import tensorflow as tf

from tfcl.engine.orders import epoch_order, in_stored_order, rows_of_batch


def test_an_epoch_sees_every_example_once():
    plain = epoch_order(7, False, None)
    np.testing.assert_array_equal(plain, range(7))
    mixed, again = (
        epoch_order(50, True, np.random.default_rng(3)) for _ in range(2)
    )
    np.testing.assert_array_equal(mixed, again)
    np.testing.assert_array_equal(np.sort(mixed), range(50))
    assert (mixed != range(50)).any()
    assert plain.dtype == mixed.dtype == np.int32


@pytest.mark.parametrize("count, batches", [(8, 2), (9, 3), (1, 1)])
def test_a_pass_over_a_split_has_a_batch_for_the_rest(count, batches):
    split = [None] * count
    found, order, first, last = in_stored_order(split, 4)
    assert found is split and (first, last) == (0, batches)
    np.testing.assert_array_equal(order, range(count))


def test_the_last_batch_has_what_is_left():
    order = tf.constant([5, 3, 8, 1, 9])
    rows = tf.function(lambda step: rows_of_batch(order, step, 2))
    found = [rows(tf.constant(step)).numpy().tolist() for step in range(3)]
    assert found == [[5, 3], [8, 1], [9]]
    fixed = rows_of_batch(order, 1, None, static_size=2)
    assert fixed.shape == (2,) and fixed.numpy().tolist() == [8, 1]
