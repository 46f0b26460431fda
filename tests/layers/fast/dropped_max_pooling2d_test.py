"""Dropout and max-pool as one operation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing.layers import run_layer_test
from tfcl.layers.fast.dropped_max_pooling2d import DroppedMaxPooling2D


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_layer(rate):
    run_layer_test(
        DroppedMaxPooling2D, {"rate": rate}, (4, 5, 6, 3), (4, 2, 3, 3)
    )


@pytest.mark.parametrize("rate", [0.0001, 0.313455931477029, 0.5, 0.99])
def test_elements_are_dropped_at_the_rate_and_the_mean_stays(rate):
    # Windows of one element: every draw is seen.
    layer = DroppedMaxPooling2D(rate, pool_size=1, seed=3)
    outputs = layer(tf.ones((2000, 20, 20, 3)), training=True).numpy()
    rounded = round(rate * 2**16) / 2**16
    # Images share the rounding of the rate to 1/256, a little more noise.
    noise = np.sqrt(rate * (1 - rate) / outputs.size + 2.0**-16 / 2000)
    assert abs(np.mean(outputs == 0) - rounded) < 5 * noise
    kept = outputs[outputs != 0]
    np.testing.assert_allclose(kept, 1 / (1 - rounded), rtol=1e-6)


def test_elements_are_independent_and_every_call_draws_anew():
    layer = DroppedMaxPooling2D(0.5, pool_size=1, seed=1)
    first, again = (
        np.ravel(layer(tf.ones((1, 300, 300, 3)), training=True)) > 0
        for _ in range(2)
    )
    pairs = [(first[:-1], first[1:]), (first[::2], first[1::2])]
    for one, other in [*pairs, (first, again)]:
        assert abs(np.mean(one == other) - 0.5) < 0.01


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("pool_size", [2, (3, 2), (1, 3)])
def test_it_is_dropout_and_then_pool(pool_size, dtype):
    """Outputs and gradients of the two steps with the very same draws."""
    images = np.random.default_rng(0).normal(size=(64, 13, 12, 5))
    images = images.astype(np.float32)
    draws = DroppedMaxPooling2D(0.4, pool_size=1, seed=5, dtype=dtype)
    mask = tf.cast(
        draws(tf.ones_like(images), training=True), draws.compute_dtype
    )
    layer = DroppedMaxPooling2D(0.4, pool_size=pool_size, seed=5, dtype=dtype)
    inputs = tf.cast(images, layer.compute_dtype)
    upstream = tf.cast(
        np.random.default_rng(1).normal(size=layer(inputs).shape),
        layer.compute_dtype,
    )
    found, expected = [
        _with_gradient(function, inputs, upstream)
        for function in (
            lambda x: layer(x, training=True),
            lambda x: tf.nn.max_pool2d(x * mask, pool_size, pool_size, "VALID"),
        )
    ]
    # Windows without a kept positive element: the largest is a dropped one.
    assert np.any(expected[0] == 0)
    tolerance = {"float32": 1e-6, "mixed_bfloat16": 2e-2}[dtype]
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=1e-6)


def test_images_of_a_size_that_the_trace_does_not_know():
    inputs = tf.random.stateless_normal((3, 7, 8, 2), [1, 2])
    upstream = tf.ones((3, 3, 4, 2))
    layer = DroppedMaxPooling2D(0.4, seed=5)
    wanted = _with_gradient(
        lambda x: layer(x, training=True), inputs, upstream
    )[1]
    layer = DroppedMaxPooling2D(0.4, seed=5)
    layer.build((None, None, None, 2))

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, None, 2))], autograph=False
    )
    def gradient(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=True)
        return tape.gradient(outputs, inputs, output_gradients=upstream)

    np.testing.assert_array_equal(gradient(inputs), wanted)
    assert np.any(wanted)


def _with_gradient(function, inputs, upstream):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = function(inputs)
    gradient = tape.gradient(outputs, inputs, output_gradients=upstream)
    return [tf.cast(v, tf.float32).numpy() for v in (outputs, gradient)]


def test_serves_as_the_plain_layers():
    layer = DroppedMaxPooling2D(0.4, pool_size=3, name="drop")
    plain, weights = layer.lower()
    assert (plain.name, weights) == ("drop", [])
    assert [type(each) for each in plain.layers] == [
        keras.layers.Dropout,
        keras.layers.MaxPooling2D,
    ]
    images = np.random.default_rng(0).normal(size=(2, 7, 6, 3))
    np.testing.assert_array_equal(plain(images), layer(images))


@pytest.mark.parametrize("rate", [-0.1, 0.999, 1.0])
def test_rates_out_of_range_are_refused(rate):
    with pytest.raises(ValueError, match=r"`rate` must lie in \[0, 255/256\]"):
        DroppedMaxPooling2D(rate)
