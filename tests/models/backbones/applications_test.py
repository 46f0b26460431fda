"""Backbones out of keras.applications, without their weights."""

import sys

import keras
import numpy as np
import pytest

from tfcl.errors import UserError
from tfcl.layers.masked.masked_conv2d import MaskedConv2D
from tfcl.layers.reprogram.colour_transform import ColourTransform
from tfcl.models.backbones import applications
from tfcl.models.backbones.applications import (
    application_classifier,
    keras_application,
)
from tfcl.models.surgery.lift import lift, lower
from tfcl.models.variables import leaf_layers

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def preprocess_input(x):
    """The rule of `_tiny`, as `keras.applications` wants one per module."""
    return x[..., ::-1] / 127.5 - 1.0


def _tiny(
    include_top=True, weights="imagenet", input_tensor=None, pooling=None
):
    """Looks like a function of `keras.applications`."""
    inputs = keras.Input((8, 8, 3)) if input_tensor is None else input_tensor
    hidden = keras.layers.Conv2D(4, 3, strides=2, name="conv")(inputs)
    hidden = keras.layers.BatchNormalization(name="norm")(hidden)
    hidden = keras.layers.GlobalAveragePooling2D()(hidden)
    if include_top:
        hidden = keras.layers.Dense(7, name="predictions")(hidden)
    source = inputs
    if input_tensor is not None:
        source = keras.utils.get_source_inputs(input_tensor)[0]
    model = keras.Model(source, hidden)
    if weights == "imagenet":
        raise Exception("URL fetch failure on some address: no network")
    if weights is not None:
        model.load_weights(weights)
    return model


@pytest.fixture(name="tiny")
def _tiny_network(monkeypatch):
    monkeypatch.setattr(keras.applications, "Tiny", _tiny, raising=False)
    return "Tiny"


@pytest.fixture(name="resnet", scope="module")
def _resnet():
    return keras_application((32, 32, 3), "ResNet50", mean=_MEAN, std=_STD)


def test_resnet50_ends_in_its_pooled_features(resnet):
    assert resnet.output_shape == (None, 2048)
    convs = [la for la in resnet.layers if isinstance(la, keras.layers.Conv2D)]
    assert len(convs) == 53 and all(conv.use_bias for conv in convs)


@pytest.mark.parametrize("network", ["ResNet50", "ResNet50V2"])
def test_a_network_sees_images_as_its_own_rule_makes_them(network):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3))
    pixels = pixels.astype(np.float32)
    factory = getattr(keras.applications, network)
    transform = applications._from_standardised(factory, _MEAN, _STD)
    standardised = ((pixels / 255.0 - _MEAN) / _STD).astype(np.float32)
    rule = sys.modules[factory.__module__].preprocess_input
    np.testing.assert_allclose(
        transform(standardised), rule(pixels.copy()), atol=1e-3
    )


def test_resnet50_is_lifted_with_its_biases_and_lowered(resnet):
    rules = {MaskedConv2D.plain: lambda la: MaskedConv2D.lift(la, picks=False)}
    lifted = lift(resnet, rules)
    masked = [la for la in leaf_layers(lifted) if isinstance(la, MaskedConv2D)]
    assert len(masked) == 53
    assert all(layer.bias is not None for layer in masked)
    images = np.random.default_rng(1).normal(size=(2, 32, 32, 3))
    wanted = resnet(images.astype(np.float32))
    for model in (lifted, lower(lifted)):
        found = model(images.astype(np.float32))
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_weights_come_from_a_file(tiny, tmp_path):
    wanted = _tiny(include_top=False, weights=None)
    path = tmp_path / "tiny.weights.h5"
    wanted.save_weights(path)
    found = keras_application((8, 8, 3), tiny, str(path))
    for one, other in zip(wanted.get_weights(), found.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_a_file_and_a_download_normalise_alike(tmp_path, monkeypatch):
    """As in EfficientNet, whose file has deviations for variances."""

    def normed(include_top, weights, input_tensor, pooling):
        del include_top, pooling
        own = keras.layers.Normalization(name="own")
        hidden = own(input_tensor)
        if weights == "imagenet":
            scale = [1.0 / np.sqrt(std) for std in (0.229, 0.224, 0.225)]
            hidden = keras.layers.Rescaling(scale)(hidden)
        hidden = keras.layers.GlobalAveragePooling2D()(hidden)
        source = keras.utils.get_source_inputs(input_tensor)[0]
        model = keras.Model(source, hidden)
        if weights == "imagenet":
            own.set_weights([np.array(v) for v in (_MEAN, _STD, 0)])
            own.finalize_state()
        elif weights is not None:
            model.load_weights(weights)
        return model

    normed.__module__ = __name__
    monkeypatch.setattr(keras.applications, "Tiny", normed, raising=False)
    wanted = keras_application((8, 8, 3), "Tiny", "imagenet")
    same = keras_application((8, 8, 3), "Tiny")
    same.get_layer("own").set_weights(wanted.get_layer("own").get_weights())
    path = str(tmp_path / "tiny.weights.h5")
    same.save_weights(path)
    found = keras_application((8, 8, 3), "Tiny", path)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
    images = images.astype(np.float32)
    assert np.ptp(wanted(images)) > 0.1
    np.testing.assert_allclose(found(images), wanted(images), rtol=1e-5)


def test_the_classifier_comes_from_a_file(tiny, tmp_path):
    whole = _tiny(weights=None)
    path = tmp_path / "tiny.weights.h5"
    whole.save_weights(path)
    kernel, bias = application_classifier(tiny, str(path))()
    np.testing.assert_array_equal(kernel, whole.layers[-1].get_weights()[0])
    assert bias.shape == (7,)


def test_a_failed_download_says_what_to_do(tiny):
    with pytest.raises(UserError, match="URL fetch failure.*give the path"):
        keras_application((8, 8, 3), tiny, "imagenet")
    with pytest.raises(UserError, match="^application_classifier.weights: "):
        application_classifier(tiny)()


def test_a_missing_file_is_named(tiny):
    with pytest.raises(UserError, match="no file 'nowhere.h5'"):
        keras_application((8, 8, 3), tiny, "nowhere.h5")


@pytest.mark.parametrize("weights", [None, "file"])
def test_images_that_are_too_small_are_told(weights, tmp_path, monkeypatch):
    """And not the weights blamed, which are good ones."""

    def valid(include_top, weights, input_tensor, pooling):
        del include_top, pooling
        hidden = keras.layers.Conv2D(4, 7, name="wide")(input_tensor)
        hidden = keras.layers.GlobalAveragePooling2D()(hidden)
        source = keras.utils.get_source_inputs(input_tensor)[0]
        model = keras.Model(source, hidden)
        if weights is not None:
            model.load_weights(weights)
        return model

    valid.__module__ = __name__
    monkeypatch.setattr(keras.applications, "Tiny", valid, raising=False)
    if weights is not None:
        weights = str(tmp_path / "tiny.weights.h5")
        keras_application((8, 8, 3), "Tiny").save_weights(weights)
        keras_application((8, 8, 3), "Tiny", weights)
    with pytest.raises(UserError, match=r"Tiny.*images of \(6, 6, 3\).*224"):
        keras_application((6, 6, 3), "Tiny", weights)


def test_a_network_without_a_dense_top_has_no_classifier(
    tiny, tmp_path, monkeypatch
):
    def topless(include_top, weights):
        return _tiny(include_top=False, weights=weights)

    monkeypatch.setattr(keras.applications, tiny, topless)
    path = tmp_path / "tiny.weights.h5"
    _tiny(include_top=False, weights=None).save_weights(path)
    with pytest.raises(ValueError, match="Tiny does not end in a dense layer"):
        application_classifier(tiny, str(path))()


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="ResNet50V2, .* Received: network='R"):
        keras_application((32, 32, 3), "Resnet50")
    with pytest.raises(ValueError, match="3 channels"):
        keras_application((32, 32, 1), "ResNet50")
    with pytest.raises(ValueError, match="`weights` must be 'imagenet' or"):
        application_classifier("ResNet50", None)


def test_colours_are_mapped_and_the_layer_can_be_made_again():
    layer = ColourTransform([[0.0, 2.0], [1.0, 0.0]], [10.0, 20.0])
    pixels = np.array([[[[1.0, 2.0]]]], np.float32)
    np.testing.assert_array_equal(layer(pixels), [[[[12.0, 22.0]]]])
    again = ColourTransform.from_config(layer.get_config())
    np.testing.assert_array_equal(again(pixels), layer(pixels))
    with pytest.raises(ValueError, match="`matrix` must have shape"):
        ColourTransform([[1.0, 0.0]], [1.0])
