"""Gradients of several steps, applied as one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcl.methods.class_incremental.virtual_batch import VirtualBatch
from tfcl.models.variables import Owned


def _batch(steps):
    variable = keras.Variable([0.0, 0.0])
    return VirtualBatch(
        [Owned("w", variable, keras.initializers.Zeros())], steps
    )


def _step(batch, number):
    """Sums after a step and whether they are due; keeps what is kept."""
    gradient = tf.constant([number + 1.0, 10.0])
    (sums,), due, keep = batch.gathered([gradient], tf.constant(number))
    keep()
    return sums.numpy().tolist(), bool(due)


def test_sums_are_due_when_full_and_at_the_end_of_the_epoch():
    batch = _batch(2)
    batch.begin_task(steps_per_epoch=3)
    assert _step(batch, 0) == ([0.5, 5.0], False)
    assert _step(batch, 1) == ([1.5, 10.0], True)
    # The last step, over the same number.
    assert _step(batch, 2) == ([1.5, 5.0], True)
    assert _step(batch, 0) == ([0.5, 5.0], False)


def test_a_task_forgets_what_was_gathered():
    batch = _batch(4)
    batch.begin_task(9)
    _step(batch, 0)
    assert any(np.any(variable) for variable in batch.state[1:])
    batch.begin_task(9)
    assert _step(batch, 0) == ([0.25, 2.5], False)


@pytest.mark.parametrize("step", [0, 5])
def test_single_steps_are_applied_as_they_come(step):
    batch, gradients = _batch(1), [tf.constant([1.0, 2.0])]
    assert batch.gathered(gradients, tf.constant(step)) == (
        gradients,
        None,
        None,
    )
    assert len(batch.state) == 1
