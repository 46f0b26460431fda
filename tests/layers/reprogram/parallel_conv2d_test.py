"""A convolution with a 1 x 1 beside it, against the published program."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden
from tests.testing.layers import run_layer_test
from tfcl.layers.reprogram.parallel_conv2d import ParallelConv2D

_DATA = golden.load("clr/other_blocks.npz")
_CASES = sorted({k.split("/")[1] for k in _DATA if k.startswith("parallel")})


def test_it_is_a_layer():
    run_layer_test(
        ParallelConv2D,
        {"filters": 4, "kernel_size": (3, 2), "padding": "same", "groups": 2},
        (2, 5, 6, 4),
        (2, 5, 6, 4),
    )


@pytest.mark.parametrize("case", _CASES)
def test_outputs_and_gradients_are_the_published_ones(case):
    same = {
        key: _DATA[f"gated/{case}/{key}"]
        for key in ("cfg", "x", "kernel", "gy")
    }
    wanted = {
        key: _DATA[f"parallel1x1/{case}/{key}"]
        for key in ("re", "y", "dx", "dre")
    }
    side, stride, pad = map(int, same["cfg"])
    assert pad == side // 2, "the layer pads so, or not at all"
    layer = ParallelConv2D(
        same["gy"].shape[-1],
        side,
        strides=stride,
        padding="same",
        use_bias=False,
        dtype="float64",
    )
    layer.build(same["x"].shape)
    layer.kernel.assign(same["kernel"])
    layer.parallel.assign(wanted["re"])
    assert [v.name for v in layer.trainable_weights] == ["parallel"]
    images = tf.constant(same["x"])
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images)
        value = tf.reduce_sum(outputs * same["gy"])
    gradients = tape.gradient(value, [images, layer.parallel.value])
    for found, key in zip([outputs, *gradients], ("y", "dx", "dre")):
        np.testing.assert_allclose(found, wanted[key], atol=1e-12)


@pytest.mark.parametrize("strides", [1, 2])
def test_the_plain_layer_does_the_same(strides):
    plain = keras.layers.Conv2D(3, 3, strides=strides, activation="relu")
    images = np.random.default_rng(0).normal(size=(2, 7, 7, 3))
    plain(images)
    plain.bias.assign([0.1, -0.2, 0.3])
    layer = ParallelConv2D.lift(plain)
    layer.build(images.shape)
    layer.adopt(plain)
    served, weights = layer.lower()
    served.build(images.shape)
    served.set_weights(weights)
    np.testing.assert_allclose(served(images), layer(images), rtol=1e-5)
    # A 1 x 1 convolution of the middle pixels.
    own = layer.parallel.numpy()[0, 0]
    middle = images[:, 1:-1:strides, 1:-1:strides] @ own
    plain.activation = keras.activations.linear
    wanted = np.maximum(plain(images) + middle, 0.0)
    np.testing.assert_allclose(layer(images), wanted, rtol=1e-4, atol=1e-5)
