"""Dropout from 16 random bits."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing.layers import run_layer_test
from tfcl.layers.fast.half_word_dropout import HalfWordDropout


def test_layer():
    run_layer_test(HalfWordDropout, {"rate": 0.3}, (4, 5, 3), (4, 5, 3))


@pytest.mark.parametrize("rate", [0.0, 0.313455931477029, 0.5, 0.99])
def test_the_share_dropped_is_the_rate_and_the_mean_stays(rate):
    ones = tf.ones((400, 501))
    outputs = HalfWordDropout(rate, seed=3)(ones, training=True).numpy()
    dropped = np.mean(outputs == 0)
    deviation = np.sqrt(max(rate * (1 - rate), 1e-12) / outputs.size)
    assert abs(dropped - rate) < 5 * deviation + 1e-5
    kept = outputs[outputs != 0]
    # Rounded to 2^-16, but kept times scale is 1.
    np.testing.assert_allclose(kept, 1 / (1 - rate), rtol=1e-3)
    assert abs(outputs.mean() - 1) < 5 * deviation / (1 - rate)


def test_elements_are_independent_and_every_call_draws_anew():
    layer = HalfWordDropout(0.5, seed=1)
    first, again = (
        layer(tf.ones((1, 100_000)), training=True).numpy()[0] > 0
        for _ in range(2)
    )
    pairs = [(first[:-1], first[1:]), (first[::2], first[1::2])]
    for one, other in [*pairs, (first, again)]:
        assert abs(np.mean(one == other) - 0.5) < 0.01


def test_gradients_pass_where_the_element_was_kept():
    inputs = tf.random.stateless_normal((3, 7), [1, 2])
    layer = HalfWordDropout(0.4, seed=2)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
    found = tape.gradient(outputs, inputs)
    np.testing.assert_allclose(found * inputs, outputs, rtol=1e-6)


def test_serves_as_the_plain_layer():
    layer = HalfWordDropout(0.4, name="drop")
    plain, weights = layer.lower()
    assert type(plain) is keras.layers.Dropout and plain.rate == 0.4
    assert (plain.name, weights) == ("drop", [])


@pytest.mark.parametrize(
    "wrong",
    [{"rate": 1.0}, {"rate": -0.1}, {"rate": 0.5, "noise_shape": (1, 2)}],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="rate|noise_shape"):
        HalfWordDropout(**wrong)
