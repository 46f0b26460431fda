"""Gradient descent in one operation."""

import keras
import numpy as np
import tensorflow as tf

from tests.testing.optimizers import take_steps, take_steps_on_two_replicas
from tfcl.optimizers.plain_sgd import PlainSGD

_GRADIENTS = np.random.default_rng(0).normal(size=(6, 4))
_RATES = (0.1, 0.1, 0.02, 0.02, 0.5, 0.5)


def test_agrees_with_keras():
    found, wanted = (
        take_steps(make(), keras.Variable(np.ones(4)), _GRADIENTS, _RATES)
        for make in (PlainSGD, keras.optimizers.SGD)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_two_replicas_sum_their_gradients():
    found = take_steps_on_two_replicas(lambda: PlainSGD(0.1), _GRADIENTS)
    np.testing.assert_allclose(found, 1 - 0.1 * _GRADIENTS.sum(0), rtol=1e-5)


def test_survives_its_own_configuration():
    again = PlainSGD.from_config(PlainSGD(0.3).get_config())
    assert float(again.learning_rate) == np.float32(0.3)


def test_a_gradient_of_rows_moves_these_rows_alone():
    variable = keras.Variable(np.ones((3, 2), np.float32))
    optimizer = PlainSGD(0.5)
    optimizer.build([variable])
    rows = tf.IndexedSlices(tf.ones((2, 2)), tf.constant([2, 2]), (3, 2))
    optimizer.apply([rows], [variable])
    np.testing.assert_array_equal(variable, [[1, 1], [1, 1], [0, 0]])
