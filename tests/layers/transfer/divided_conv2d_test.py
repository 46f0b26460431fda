"""Two kernels on the blocks of one batch."""

import keras
import numpy as np
import pytest

from tests.testing.layers import run_layer_test
from tfcl.layers.transfer.divided_conv2d import DividedConv2D
from tfcl.layers.transfer.selective_conv2d import CHOSEN, SelectiveConv2D

_IMAGES = np.random.default_rng(5).normal(size=(8, 7, 6, 4))
_IMAGES = _IMAGES.astype(np.float32)


def _selective(**kwargs):
    layer = SelectiveConv2D(6, 3, sharing=CHOSEN, **kwargs)
    layer.build(_IMAGES.shape)
    generator = np.random.default_rng(0)
    for variable in layer.trainable_variables:
        variable.assign(generator.normal(size=variable.shape))
    return layer


@pytest.mark.parametrize("repeats", [1, 2, 4])
@pytest.mark.parametrize(
    "kwargs", [{}, {"groups": 2}, {"use_bias": False, "activation": "relu"}]
)
def test_blocks_take_turns(repeats, kwargs):
    layer = _selective(**kwargs)
    found = DividedConv2D(layer, repeats)(_IMAGES)
    blocks = np.split(np.array(found), 2 * repeats)
    inputs = np.split(_IMAGES, 2 * repeats)
    for number, (block, images) in enumerate(zip(blocks, inputs)):
        layer.selection.assign(float(number % 2 == 0))
        np.testing.assert_allclose(block, layer(images), rtol=1e-5, atol=1e-5)


def test_is_a_layer_for_any_even_batch():
    layer = DividedConv2D(_selective())
    tensor = keras.Input(_IMAGES.shape[1:])
    model = keras.Model(tensor, layer(tensor))
    assert model.output_shape == (None, 5, 4, 6)
    assert len(layer.trainable_variables) == 4
    for size in (2, 6):
        assert model(_IMAGES[:size]).shape == (size, 5, 4, 6)


class OnPairs(keras.layers.Layer):
    """Doubles a batch, so that any size can be divided."""

    def __init__(self, selective, **kwargs):
        super().__init__(**kwargs)
        self.divided = DividedConv2D(selective, dtype=kwargs.get("dtype"))

    def build(self, input_shape):
        self.divided.build(input_shape)

    def call(self, inputs):
        twice = keras.ops.concatenate([inputs, inputs])
        shared, own = keras.ops.split(self.divided(twice), 2)
        return keras.ops.concatenate([shared, own], axis=-1)

    def compute_output_shape(self, input_shape):
        shape = self.divided.compute_output_shape(input_shape)
        return (*shape[:-1], 2 * shape[-1])


def test_is_a_proper_layer():
    run_layer_test(
        OnPairs,
        {"selective": _selective()},
        input_shape=(2, 7, 6, 4),
        expected_output_shape=(2, 5, 4, 12),
        saved=False,
    )
