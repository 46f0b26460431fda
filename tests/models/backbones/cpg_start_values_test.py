"""Start values of the networks of the CPG line."""

import keras
import numpy as np
import pytest

from tfcl.models.backbones.cpg_resnet import cpg_resnet
from tfcl.models.backbones.cpg_vgg import cpg_vgg
from tfcl.models.backbones.spherenet import spherenet


@pytest.fixture(scope="module", autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


def _has_normal(layer, stddev):
    kernel = layer.kernel.numpy()
    np.testing.assert_allclose(kernel.std(), stddev, rtol=0.05)
    # Not truncated: a thousandth lies beyond 3.3 deviations.
    assert np.abs(kernel).max() > 3.0 * stddev
    if layer.bias is not None:
        assert not layer.bias.numpy().any()


def test_vgg():
    model = cpg_vgg((4, 4, 16), layers=(64, "M"), hidden_units=(100,))
    _has_normal(model.get_layer("conv_0"), np.sqrt(2 / (9 * 64)))
    _has_normal(model.get_layer("dense_0"), 0.01)
    norm = model.get_layer("norm_0")
    np.testing.assert_array_equal(norm.gamma, 1.0)
    np.testing.assert_array_equal(norm.beta, 0.0)


@pytest.mark.parametrize("stddev", [0.001, None])
def test_resnet(stddev):
    model = cpg_resnet((8, 8, 3), depth=18, initial_stddev=stddev)
    wanted = stddev or np.sqrt(2 / (9 * 128))
    _has_normal(model.get_layer("block_1_0_0_conv"), wanted)


def test_spherenet():
    model = spherenet((4, 4, 8), channels=(64,), units=(1,))
    conv = model.get_layer("stage_0_unit_0_1_conv")
    _has_normal(conv, np.sqrt(2 / (9 * 64)))
    slopes = model.get_layer("stage_0_slope").alpha
    np.testing.assert_array_equal(slopes, 0.25)
