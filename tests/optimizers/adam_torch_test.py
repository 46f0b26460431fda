"""Adam with its epsilon where the paper has it."""

import keras
import numpy as np
import pytest

from tests.testing.optimizers import take_steps, take_steps_on_two_replicas
from tfcl.optimizers.adam_torch import AdamTorch

_GRADIENTS = np.random.default_rng(0).normal(size=(6, 4))


def _by_hand(gradients, rate, epsilon=1e-8, b1=0.9, b2=0.999):
    weight, mean, square = np.ones(4), np.zeros(4), np.zeros(4)
    for k, gradient in enumerate(gradients, start=1):
        mean = b1 * mean + (1 - b1) * gradient
        square = b2 * square + (1 - b2) * gradient**2
        root = np.sqrt(square) / np.sqrt(1 - b2**k)
        weight = weight - rate / (1 - b1**k) * mean / (root + epsilon)
    return weight


@pytest.mark.parametrize(
    ("dtype", "rtol"), [("float64", 1e-9), ("float32", 1e-6)]
)
@pytest.mark.parametrize("scale", [1.0, 1e-7])
def test_trajectory_is_that_of_the_paper(dtype, rtol, scale):
    rate = float(np.float32(0.01))  # Keras keeps rates in float32.
    variable = keras.Variable(np.ones(4), dtype=dtype)
    found = take_steps(AdamTorch(rate), variable, scale * _GRADIENTS)
    wanted = _by_hand(scale * _GRADIENTS, rate)
    np.testing.assert_allclose(found, wanted, rtol=rtol)


def test_tiny_gradients_move_farther_than_by_keras():
    moved = []
    for make in (AdamTorch, keras.optimizers.Adam):
        variable = keras.Variable(np.ones(4))
        take_steps(make(0.01), variable, 1e-7 * _GRADIENTS[:1])
        moved.append(np.abs(variable.numpy() - 1.0))
    assert (moved[0] > 5 * moved[1]).all()


def test_two_replicas_sum_their_gradients():
    found = take_steps_on_two_replicas(lambda: AdamTorch(0.01), _GRADIENTS)
    wanted = _by_hand(_GRADIENTS, 0.01)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_survives_its_own_configuration():
    config = AdamTorch(beta_1=0.5, beta_2=0.6, epsilon=1e-3).get_config()
    again = AdamTorch.from_config(config)
    assert (again.beta_1, again.beta_2, again.epsilon) == (0.5, 0.6, 1e-3)


@pytest.mark.parametrize(
    "bad", [{"beta_1": 1.0}, {"beta_2": -0.1}, {"epsilon": 0.0}]
)
def test_refuses_arguments_out_of_range(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        AdamTorch(**bad)
