"""Which convolutions are reprogrammed, on networks that people use."""

import functools

import keras
import numpy as np
import pytest

from tfcl.models.surgery.lift import lower
from tfcl.models.surgery.reprogram import reprogram

_IMAGES = np.random.default_rng(0).normal(size=(2, 64, 64, 3))
_IMAGES = _IMAGES.astype(np.float32)
# Filters of CLR, of CLR-Full with squeeze and excite, and without.
_NUMBERS = {
    "ConvNeXtTiny": (72_576, 72_576, 72_576),  # grouped convolutions
    "MobileNetV3Large": (45_288, 155_520, 109_800),  # depthwise, fused
    "ResNet50": (34_560, 239_040, 239_040),
    "VGG16": (38_016, 38_016, 38_016),  # activations inside, no norms
}


@functools.cache
def _application(name, side=64):
    make = getattr(keras.applications, name)
    return make(
        weights=None,
        include_top=False,
        input_shape=(side, side, 3),
        pooling="avg",
    )


def _count(sites):
    return sum(int(np.prod(s.layer.kernel.shape)) for s in sites)


@pytest.mark.parametrize("name", _NUMBERS)
def test_a_network_of_keras_starts_unchanged(name):
    backbone = _application(name)
    model, sites = reprogram(backbone)
    np.testing.assert_array_equal(model(_IMAGES), backbone(_IMAGES))
    assert _count(sites) == _NUMBERS[name][0]
    assert backbone.count_params() == model.count_params() - _count(sites)


@pytest.mark.parametrize("name", ["MobileNetV3Large", "VGG16"])
def test_the_full_mode_knows_squeeze_and_excite(name):
    for included, wanted in zip((True, False), _NUMBERS[name][1:]):
        _, sites = reprogram(
            _application(name), "full", squeeze_excite=included
        )
        assert _count(sites) == wanted


def test_small_images_do_not_make_maps_squeeze_and_excite():
    """At 32 x 32 the last maps have one pixel."""
    for included, wanted in zip(
        (True, False), _NUMBERS["MobileNetV3Large"][1:]
    ):
        _, sites = reprogram(
            _application("MobileNetV3Large", 32),
            "full",
            squeeze_excite=included,
        )
        assert _count(sites) == wanted


def _gated(pool, inner):
    """A map times what two convolutions make of its means."""
    layers = keras.layers
    inputs = keras.Input((1, 1, 4))
    first = layers.Conv2D(4, 1, name="map")(inputs)
    squeeze = [
        layers.Conv2D(2, 1, activation="relu", name="squeeze"),
        layers.Conv2D(4, 1, activation="sigmoid", name="excite"),
    ]
    gate = pool(first)
    if inner:
        squeeze = [keras.Sequential([keras.Input((1, 1, 4)), *squeeze])]
    for layer in squeeze:
        gate = layer(gate)
    hidden = layers.Conv2D(4, 1, name="after")(layers.multiply([first, gate]))
    return keras.Model(inputs, hidden)


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize(
    "pool",
    [
        keras.layers.GlobalMaxPooling2D(keepdims=True),
        lambda x: keras.ops.mean(x, axis=(1, 2), keepdims=True),
        lambda x: keras.ops.max(x, axis=(-3, -2), keepdims=True),
        keras.Sequential(
            [
                keras.Input((1, 1, 4)),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Reshape((1, 1, 4)),
            ]
        ),
    ],
    ids=["layer", "mean", "max", "model"],
)
def test_squeeze_and_excite_is_known_by_its_pooling(pool, inner):
    _, sites = reprogram(_gated(pool, inner), "full")
    assert [site.conv.name for site in sites] == ["map", "after"]
    _, sites = reprogram(_gated(pool, inner), "full", squeeze_excite=True)
    assert len(sites) == 4


def test_a_changed_filter_changes_the_network_and_its_plain_form():
    backbone = _application("VGG16")
    model, sites = reprogram(backbone)
    kernel = sites[5].layer.kernel
    kernel.assign(np.random.default_rng(0).normal(size=kernel.shape))
    changed = model(_IMAGES).numpy()
    assert np.abs(changed - backbone(_IMAGES)).max() > 1e-3
    largest = np.abs(changed).max()
    np.testing.assert_allclose(
        lower(model)(_IMAGES), changed, atol=1e-5 * largest
    )


def test_separable_convolutions_have_one_filter():
    inputs = keras.Input((8, 8, 3))
    hidden = keras.layers.SeparableConv2D(6, 3, name="apart")(inputs)
    hidden = keras.layers.DepthwiseConv2D(
        3, depth_multiplier=2, activation="relu6", name="deep"
    )(hidden)
    backbone = keras.Model(inputs, hidden)
    model, sites = reprogram(backbone)
    found = {s.conv.name: s.layer.kernel.shape[2] for s in sites}
    assert found == {"apart": 6, "deep": 12}
    images = _IMAGES[:, :8, :8]
    np.testing.assert_array_equal(model(images), backbone(images))
    # The activation comes behind the filter.
    sites[1].layer.kernel.assign(-sites[1].layer.kernel)
    assert np.min(model(images)) >= 0.0


@pytest.mark.parametrize(
    "mode, sizes", [("full", {"a": 5, "b": 5}), ("scale", {"a": 5, "b": 1})]
)
def test_the_size_of_filters_can_be_chosen(mode, sizes):
    inputs = keras.Input((8, 8, 3))
    hidden = keras.layers.Conv2D(4, 3, name="a")(inputs)
    hidden = keras.layers.Conv2D(4, 1, name="b")(hidden)
    _, sites = reprogram(keras.Model(inputs, hidden), mode, kernel_size=5)
    assert {s.conv.name: s.layer.kernel_size for s in sites} == sizes
