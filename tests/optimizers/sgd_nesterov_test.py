"""Nesterov momentum of PyTorch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing.optimizers import take_steps, take_steps_on_two_replicas
from tfcl.optimizers.sgd_nesterov import SGDNesterov

_GRADIENTS = np.random.default_rng(0).normal(size=(6, 4))
_RATES = (0.1, 0.1, 0.02, 0.02, 0.5, 0.5)


def _steps(optimizer, variable, rates=_RATES):
    return take_steps(optimizer, variable, _GRADIENTS, rates)


def test_the_rate_is_outside_the_velocity():
    variable = keras.Variable(np.ones(4), dtype="float64")
    found = _steps(SGDNesterov(momentum=0.9), variable)
    weight, buffer = np.ones(4), np.zeros(4)
    for gradient, rate in zip(_GRADIENTS, _RATES):
        buffer = 0.9 * buffer + gradient
        weight = weight - np.float32(rate) * (gradient + 0.9 * buffer)
    np.testing.assert_allclose(found, weight, rtol=1e-12)


def test_agrees_with_keras_only_while_the_rate_is_constant():
    def keras_s():
        return keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)

    for rates, equal in (((0.1,) * 6, True), (_RATES, False)):
        one, other = keras.Variable(np.ones(4)), keras.Variable(np.ones(4))
        found = _steps(SGDNesterov(momentum=0.9), one, rates)
        wanted = _steps(keras_s(), other, rates)
        assert np.allclose(found, wanted, rtol=1e-5) == equal


def test_weights_without_gradient_never_move():
    variable = keras.Variable([0.3, 0.7])
    optimizer = SGDNesterov(0.1)
    optimizer.build([variable])
    for _ in range(3):
        optimizer.apply([tf.constant([1.0, 0.0])], [variable])
    assert variable.numpy()[1] == np.float32(0.7)
    np.testing.assert_array_equal(
        optimizer.buffer_of(variable).numpy() != 0, [True, False]
    )


def test_two_replicas_sum_their_gradients():
    found = take_steps_on_two_replicas(lambda: SGDNesterov(0.1), _GRADIENTS)
    alone = keras.Variable(np.ones(4))
    wanted = _steps(SGDNesterov(), alone, (0.1,) * len(_GRADIENTS))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_survives_its_own_configuration():
    again = SGDNesterov.from_config(SGDNesterov(momentum=0.5).get_config())
    assert again.momentum == 0.5


@pytest.mark.parametrize("momentum", [-0.1, 1.0])
def test_refuses_momentum_out_of_range(momentum):
    with pytest.raises(ValueError, match="`momentum`.*Received"):
        SGDNesterov(momentum=momentum)
