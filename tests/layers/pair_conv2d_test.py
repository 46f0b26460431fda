"""A convolution with the kernel of whoever calls it."""

import keras
import numpy as np
import pytest

from tfcl.layers.pair_conv2d import PairConv2D

_DRAW = np.random.default_rng(0).normal
_IMAGES = _DRAW(size=(2, 6, 5, 3)).astype(np.float32)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("form", [{}, {"strides": 2, "padding": "same"}])
def test_a_pair_is_applied_as_keras_does_its_own(form, bias):
    form = {**form, "activation": "relu"}
    plain = keras.layers.Conv2D(4, 3, use_bias=bias, **form)
    plain.build(_IMAGES.shape)
    values = [_DRAW(size=w.shape).astype(np.float32) for w in plain.weights]
    plain.set_weights(values)
    layer = PairConv2D(4, 3, **form)
    found = layer.apply_pair(_IMAGES, values[0], values[1] if bias else None)
    np.testing.assert_array_equal(found, plain(_IMAGES))


def test_the_axis_of_channels_follows_the_data_format():
    first = PairConv2D(4, 3, data_format="channels_first")
    assert (first.channel_axis, PairConv2D(4, 3).channel_axis) == (1, -1)
