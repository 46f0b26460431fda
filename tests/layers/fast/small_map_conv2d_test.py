"""Convolution over maps of a few pixels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing.layers import run_layer_test
from tfcl.layers.fast.small_map_conv2d import SmallMapConv2D

_CHANNELS = 256  # so that a tap has enough weights


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((2, 2), {"kernel_size": 3, "padding": "same"}),
        ((1, 1), {"kernel_size": 3, "padding": "same"}),
        ((3, 2), {"kernel_size": (3, 2), "padding": "same", "use_bias": False}),
        ((6, 5), {"kernel_size": 3, "strides": 2, "activation": "relu"}),
        ((5, 6), {"kernel_size": 4, "strides": 2, "padding": "same"}),
        ((6, 6), {"kernel_size": 1, "strides": 2}),
        ((3, 3), {"kernel_size": 1}),
    ],
)
def test_computes_the_convolution_and_its_gradients(size, options):
    layer = SmallMapConv2D(_CHANNELS, **options)
    plain = keras.layers.Conv2D(_CHANNELS, **options)
    generator = np.random.default_rng(0)
    images = tf.constant(
        generator.normal(size=(2, *size, _CHANNELS)), "float32"
    )
    plain.build(images.shape)
    layer.build(images.shape)
    layer.set_weights(plain.get_weights())

    def gradients(model):
        weights = [v.value for v in model.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = model(images)
            loss = tf.reduce_sum(tf.square(outputs))
        return [outputs, *tape.gradient(loss, [images, *weights])]

    for ours, wanted in zip(gradients(layer), gradients(plain), strict=True):
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(ours, wanted, atol=1e-5 * scale)
    ops = _operations(layer, images)
    assert "MatMul" in ops
    assert "Conv2D" not in ops


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((2, 4, 4, _CHANNELS), {}),  # too many places
        ((2, 2, 2, 8), {}),  # too few weights
        ((2, 2, 2, _CHANNELS), {"groups": 2}),
        ((2, 2, 2, _CHANNELS), {"dilation_rate": 2}),
    ],
)
def test_leaves_other_calls_to_keras(shape, options):
    layer = SmallMapConv2D(_CHANNELS, 3, padding="same", **options)
    assert "MatMul" not in _operations(layer, tf.ones(shape))


def test_maps_of_unknown_size_are_left_to_keras():
    layer = SmallMapConv2D(_CHANNELS, 3, padding="same")
    inputs = keras.Input((None, None, _CHANNELS))
    model = keras.Model(inputs, layer(inputs))
    assert model(tf.ones((1, 2, 2, _CHANNELS))).shape == (1, 2, 2, _CHANNELS)


def test_is_a_proper_layer():
    options = {"filters": _CHANNELS, "kernel_size": 3, "padding": "same"}
    shape = (2, 2, 2, _CHANNELS)
    run_layer_test(SmallMapConv2D, options, shape, shape)


def _operations(layer, images):
    call = tf.function(layer, autograph=False)
    graph = call.get_concrete_function(images).graph
    return {operation.type for operation in graph.get_operations()}
