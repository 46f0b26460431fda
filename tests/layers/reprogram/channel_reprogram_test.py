"""Channel-wise reprogramming against the published program."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden
from tests.testing.layers import run_layer_test
from tfcl.layers.reprogram.channel_reprogram import ChannelReprogram
from tfcl.layers.reprogram.gated_reprogram import GatedReprogram

_BLOCKS = golden.load("clr/clr_block.npz")
_OTHERS = golden.load("clr/other_blocks.npz")
# float64, sums in another order.
_CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def _cases(data, place=0):
    return sorted({key.split("/")[place] for key in data})


def _case(data, prefix):
    start = f"{prefix}/"
    return {
        key.removeprefix(start): value
        for key, value in data.items()
        if key.startswith(start)
    }


def _convolved(arrays):
    """The frozen convolution's output; `cfg` begins with k, stride, pad."""
    _, stride, pad = arrays["cfg"][:3]
    padded = tf.pad(arrays["watched"], [[0, 0], [pad] * 2, [pad] * 2, [0, 0]])
    maps = tf.nn.conv2d(padded, arrays["kernel"], int(stride), "VALID")
    return maps + arrays.get("bias", 0.0)


def _gradients(layer, arrays):
    """Outputs, and gradients of x and the layer's weights."""
    x = tf.constant(arrays["x"])
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(_convolved({**arrays, "watched": x}))
        total = tf.reduce_sum(outputs * arrays["gy"])
    sources = [x, *(v.value for v in layer.trainable_variables)]
    return outputs, tape.gradient(total, sources)


@pytest.mark.parametrize("name", _cases(_BLOCKS))
def test_the_published_layer_forward_and_backward(name):
    arrays = _case(_BLOCKS, name)
    layer = ChannelReprogram(int(arrays["cfg"][3]), dtype="float64")
    layer.build(arrays["y"].shape)
    np.testing.assert_array_equal(layer.kernel, arrays["clr_init"])
    outputs, _ = _gradients(layer, arrays)
    np.testing.assert_allclose(outputs, arrays["y_identity"], **_CLOSE)
    layer.kernel.assign(arrays["clr"])
    outputs, (dx, dkernel) = _gradients(layer, arrays)
    for found, key in ((outputs, "y"), (dx, "dx"), (dkernel, "dclr")):
        np.testing.assert_allclose(found, arrays[key], **_CLOSE)


@pytest.mark.parametrize("name", _cases(_case(_OTHERS, "gated")))
def test_the_published_gated_form_forward_and_backward(name):
    arrays = _case(_OTHERS, f"gated/{name}")
    layer = GatedReprogram(len(arrays["dw"]), dtype="float64")
    layer.build(arrays["y"].shape)
    layer.kernel.assign(arrays["dw"])
    np.testing.assert_array_equal(layer.gate, arrays["A_init"])
    gradients = dict(zip(("dx", "dA", "ddw"), _gradients(layer, arrays)[1]))
    assert [v.name for v in layer.weights] == ["gate", "kernel"]
    np.testing.assert_allclose(
        _gradients(layer, arrays)[0], arrays["y_init"], **_CLOSE
    )
    for key in ("dA", "ddw"):
        np.testing.assert_allclose(
            gradients[key], arrays[f"{key}_init"], **_CLOSE
        )
    layer.gate.assign(arrays["A"])
    outputs, found = _gradients(layer, arrays)
    np.testing.assert_allclose(outputs, arrays["y"], **_CLOSE)
    for value, key in zip(found, ("dx", "dA", "ddw")):
        np.testing.assert_allclose(value, arrays[key], **_CLOSE)


@pytest.mark.parametrize("layer_class", [ChannelReprogram, GatedReprogram])
def test_it_is_a_keras_layer_that_starts_as_the_identity(layer_class):
    run_layer_test(
        layer_class, {}, (2, 5, 4, 3), (2, 5, 4, 3), idle_variables=("kernel",)
    )
    images = np.random.default_rng(0).normal(size=(2, 5, 4, 3))
    images = images.astype(np.float32)
    np.testing.assert_array_equal(layer_class(5)(images), images)


@pytest.mark.parametrize("layer_class", [ChannelReprogram, GatedReprogram])
def test_the_plain_layer_computes_the_same(layer_class):
    images = np.random.default_rng(0).normal(size=(2, 6, 4, 3))
    images = images.astype(np.float32)
    layer = layer_class()
    layer.build(images.shape)
    for k, weight in enumerate(layer.weights):
        draw = np.random.default_rng(k).normal(size=weight.shape)
        weight.assign(draw)
    plain, weights = layer.lower()
    plain.build(images.shape)
    plain.set_weights(weights)
    assert type(plain) is keras.layers.DepthwiseConv2D
    np.testing.assert_allclose(plain(images), layer(images), atol=1e-5)


@pytest.mark.parametrize("kernel_size", [0, 2, -1])
def test_a_filter_has_a_centre(kernel_size):
    with pytest.raises(ValueError, match=f"kernel_size={kernel_size}"):
        ChannelReprogram(kernel_size)
