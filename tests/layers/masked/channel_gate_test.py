"""The gate on channels, its plain form and its regulariser."""

import keras
import numpy as np
import pytest

from tests.testing.layers import run_layer_test
from tfcl.layers.masked.channel_gate import ChannelGate, GateEntropy

_IMAGES = np.random.default_rng(0).normal(size=(3, 4, 5, 2))
_IMAGES = _IMAGES.astype(np.float32)


def _gate(**kwargs):
    layer = ChannelGate(6, 7, **kwargs)
    layer.build(_IMAGES.shape)
    generator = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(generator.normal(0.0, 0.1, variable.shape))
    return layer


def test_is_a_proper_layer():
    run_layer_test(
        ChannelGate,
        # Warm enough for bfloat16, whose rounding the temperature magnifies.
        {"filters": 6, "hidden_units": 7, "temperature": 1.0},
        input_shape=(3, 4, 5, 2),
        expected_output_shape=(3, 1, 1, 6),
    )


def test_gates_of_an_image_sum_to_one_and_sharpen_as_it_cools():
    warm, cold = _gate(temperature=1.0), _gate(temperature=0.01)
    for layer in (warm, cold):
        sums = keras.ops.sum(layer(_IMAGES), axis=-1)
        np.testing.assert_allclose(sums, np.ones((3, 1, 1)), rtol=1e-5)
    largest = [np.max(la(_IMAGES), axis=-1) for la in (warm, cold)]
    assert (largest[1] > largest[0]).all()


def test_plain_layers_compute_the_same():
    layer = _gate(name="gate")
    plain, weights = layer.lower()
    plain.build(_IMAGES.shape)
    plain.set_weights(weights)
    assert plain.name == "gate"
    np.testing.assert_allclose(
        plain(_IMAGES), layer(_IMAGES), rtol=1e-5, atol=1e-6
    )


def test_the_entropy_is_the_mean_over_images():
    layer = _gate(activity_regularizer=GateEntropy(0.5))
    gates = np.array(layer(_IMAGES), np.float64).reshape(3, 6)
    (loss,) = layer.losses
    wanted = -0.5 * (gates * np.log(gates)).sum(1).mean()
    np.testing.assert_allclose(loss, wanted, rtol=1e-5)


def test_closed_gates_have_no_entropy():
    gates = np.float32([[[[0.0, 1.0, 0.0]]]])
    assert float(GateEntropy(1.0)(gates)) == 0.0


@pytest.mark.parametrize("temperature", [0.0, -0.1])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(ValueError, match="`temperature`.*Received"):
        ChannelGate(6, temperature=temperature)
