"""Nesterov momentum of PyTorch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing.methods import two_replicas
from tfcl.optimizers.sgd_nesterov import SGDNesterov

_GRADIENTS = np.random.default_rng(0).normal(size=(6, 4))
_RATES = (0.1, 0.1, 0.02, 0.02, 0.5, 0.5)


def _steps(optimizer, variable, rates=_RATES):
    optimizer.build([variable])
    for gradient, rate in zip(_GRADIENTS, rates):
        optimizer.learning_rate.assign(rate)
        optimizer.apply([tf.constant(gradient, variable.dtype)], [variable])
    return variable.numpy()


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
    strategy = two_replicas()
    with strategy.scope():
        variable = keras.Variable(np.ones(4))
        optimizer = SGDNesterov(0.1)
        optimizer.build([variable])

    def update(gradient):
        optimizer.apply([gradient / 2.0], [variable.value])

    run = tf.function(lambda gradient: strategy.run(update, args=(gradient,)))
    for gradient in _GRADIENTS:
        run(tf.constant(gradient, tf.float32))
    alone = keras.Variable(np.ones(4))
    wanted = _steps(SGDNesterov(), alone, (0.1,) * len(_GRADIENTS))
    np.testing.assert_allclose(variable.numpy(), wanted, rtol=1e-5)


def test_survives_its_own_configuration():
    again = SGDNesterov.from_config(SGDNesterov(momentum=0.5).get_config())
    assert again.momentum == 0.5


@pytest.mark.parametrize("momentum", [-0.1, 1.0])
def test_refuses_momentum_out_of_range(momentum):
    with pytest.raises(ValueError, match="`momentum`.*Received"):
        SGDNesterov(momentum=momentum)
