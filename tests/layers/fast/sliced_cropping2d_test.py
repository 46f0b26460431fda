"""Cropping with a quick gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing.layers import run_layer_test
from tfcl.layers.fast.sliced_cropping2d import SlicedCropping2D

_CROPPINGS = [((0, 1), (0, 1)), ((1, 2), (0, 3)), 1]


def test_layer():
    run_layer_test(
        SlicedCropping2D,
        {"cropping": ((1, 2), (0, 1))},
        (4, 5, 6, 3),
        (4, 2, 5, 3),
    )


@pytest.mark.parametrize("cropping", _CROPPINGS)
def test_it_is_the_layer_of_keras(cropping):
    inputs = tf.random.stateless_normal((2, 6, 7, 3), [1, 2])
    layer = SlicedCropping2D(cropping, name="crop")
    plain, weights = layer.lower()
    assert (type(plain), plain.name) == (keras.layers.Cropping2D, "crop")
    assert weights == []
    for one, other in zip(*(_with_gradient(f, inputs) for f in (layer, plain))):
        np.testing.assert_array_equal(one, other)


def _with_gradient(function, inputs):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = function(inputs)
        value = tf.reduce_sum(outputs**2)
    return outputs, tape.gradient(value, inputs)
