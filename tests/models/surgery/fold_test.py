"""Batch norm folded into convolutions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden
from tfcl.layers.transfer.lateral_conv2d import LateralConv2D
from tfcl.models.surgery.fold import folded

_IMAGES = np.random.default_rng(0).normal(size=(2, 9, 8, 3))
_IMAGES = _IMAGES.astype(np.float32)
_FOLD = golden.load("clr/fold.npz")


def _randomised(model):
    generator = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(generator.uniform(0.3, 1.5, weight.shape))
    return model


def _norms(model):
    kind = keras.layers.BatchNormalization
    return [la for la in model.layers if isinstance(la, kind)]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", ["plain", "depthwise", "strided", "affine"])
def test_the_folded_network_computes_the_same(kind, bias):
    layers = keras.layers
    options = {"use_bias": bias}
    conv = {
        "plain": lambda: layers.Conv2D(4, 3, padding="same", **options),
        "depthwise": lambda: layers.DepthwiseConv2D(
            3, padding="same", depth_multiplier=2, **options
        ),
        "strided": lambda: layers.Conv2D(4, 3, strides=2, **options),
        "affine": lambda: layers.Conv2D(6, 1, groups=3, **options),
    }[kind]()
    norm = layers.BatchNormalization(
        scale=kind != "affine", center=kind != "affine"
    )
    inputs = keras.Input((9, 8, 3))
    hidden = layers.ReLU()(norm(conv(inputs)))
    model = _randomised(keras.Model(inputs, hidden))
    new = folded(model)
    np.testing.assert_allclose(
        new(_IMAGES), model(_IMAGES), rtol=1e-5, atol=1e-4
    )
    assert not _norms(new)
    # The model itself is as it was.
    assert len(_norms(model)) == 1 and conv.use_bias == bias


def test_what_somebody_else_needs_is_kept():
    layers = keras.layers
    inputs = keras.Input((9, 8, 3))
    hidden = layers.Conv2D(3, 3, padding="same")(inputs)
    both = layers.Add()([hidden, layers.BatchNormalization()(hidden)])
    # Behind no convolution, behind an activation, behind a layer used twice.
    both = layers.BatchNormalization()(both)
    both = layers.Conv2D(3, 1, activation="relu")(both)
    both = layers.BatchNormalization()(both)
    twice = layers.Conv2D(3, 1)
    both = layers.BatchNormalization()(twice(twice(both)))
    model = _randomised(keras.Model(inputs, both))
    new = folded(model)
    np.testing.assert_allclose(
        new(_IMAGES), model(_IMAGES), rtol=1e-5, atol=1e-4
    )
    assert len(_norms(new)) == 3


@pytest.mark.parametrize("case", sorted({k.split("/")[0] for k in _FOLD}))
def test_filters_are_not_folded_because_borders_would_differ(case):
    """Published composite kernels: right inside, exact where stated."""
    data = {
        key.removeprefix(f"{case}/"): value
        for key, value in _FOLD.items()
        if key.startswith(f"{case}/")
    }
    _, stride, pad, _ = data["cfg"]
    stride, reach = int(stride), pad + stride * (data["clr"].shape[0] // 2)
    padded = tf.pad(data["x"], [[0, 0], [reach] * 2, [reach] * 2, [0, 0]])
    single = tf.nn.conv2d(padded, data["fused_kernel"], stride, "VALID")
    single += data["fused_bias"]
    same = np.abs(single - data["y"]).max(axis=(0, 3)) < 1e-12
    np.testing.assert_array_equal(same, data["exact_mask"])


@keras.saving.register_keras_serializable(package="tfcl_tests")
class _Standardised(keras.layers.Conv2D):
    """Computes with another kernel than the one that it stores."""

    def call(self, inputs):
        kernel = self.kernel / keras.ops.max(keras.ops.abs(self.kernel))
        return self.convolution_op(inputs, kernel)


def test_a_convolution_with_a_rule_of_its_own_is_not_folded():
    model = _randomised(
        keras.Sequential(
            [
                keras.Input((9, 8, 3)),
                _Standardised(4, 3, use_bias=False),
                keras.layers.BatchNormalization(),
            ]
        )
    )
    served = folded(model)
    assert len(_norms(served)) == 1
    np.testing.assert_array_equal(served(_IMAGES), model(_IMAGES))


def test_batch_norm_behind_a_convolution_that_hears_columns_stays():
    inputs = [keras.Input((9, 8, 3)) for _ in range(2)]
    lateral = LateralConv2D(4, 3, columns=1, lateral_units=2)
    outputs = keras.layers.BatchNormalization()(lateral(inputs))
    model = _randomised(keras.Model(inputs, outputs))
    served = folded(model)
    assert len(_norms(served)) == 1
    pair = [_IMAGES, _IMAGES[::-1]]
    np.testing.assert_array_equal(served(pair), model(pair))
