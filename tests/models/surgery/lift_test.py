"""Lifted and lowered models against the backbones they come from."""

import keras
import numpy as np
import pytest

from tfcl.layers.transfer.selective_conv2d import (
    CHOSEN,
    SHARED,
    TASK,
    SelectiveConv2D,
)
from tfcl.models.backbones.lasem_cnn import lasem_cnn
from tfcl.models.surgery.fold import folded
from tfcl.models.surgery.lift import lift, lower
from tfcl.models.variables import leaf_layers

_IMAGES = np.random.default_rng(0).normal(size=(2, 16, 16, 3))
_IMAGES = _IMAGES.astype(np.float32)


def _rules(sharing=SHARED):
    return {keras.layers.Conv2D: lambda c: SelectiveConv2D.lift(c, sharing)}


def _functional():
    return lasem_cnn((16, 16, 3), (4, 6), (3, 3), (2, 2))


def _sequential():
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
            keras.layers.Conv2D(6, 3, use_bias=False),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )


def _residual():
    """Every kind of part that nets of `keras.applications` are made of."""
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    hidden = layers.Rescaling(0.5)(inputs)
    hidden = layers.ZeroPadding2D(1)(hidden)
    hidden = layers.Conv2D(8, 3, strides=2, use_bias=False)(hidden)
    hidden = layers.BatchNormalization()(hidden)
    hidden = layers.ReLU(6.0)(hidden)
    block = keras.Sequential(
        [
            layers.DepthwiseConv2D(3, padding="same"),
            layers.BatchNormalization(),
            layers.Conv2D(8, 1, groups=2),
        ],
        name="block",
    )
    hidden = layers.Add()([hidden, block(hidden)])
    shared = layers.Conv2D(8, 3, padding="same")
    hidden = keras.ops.relu(shared(shared(hidden)) + hidden)
    hidden = layers.Concatenate()([hidden, hidden * 2.0])
    hidden = layers.Dropout(0.3)(hidden)
    return keras.Model(inputs, layers.GlobalMaxPooling2D()(hidden))


_BACKBONES = {
    "functional": _functional,
    "sequential": _sequential,
    "residual": _residual,
}


def _backbone(kind):
    model = _BACKBONES[kind]()
    generator = np.random.default_rng(1)
    for variable in model.weights:
        # Variances of batch normalisation have to be positive.
        variable.assign(generator.uniform(0.1, 1.0, variable.shape))
    return model


@pytest.mark.parametrize("sharing", [SHARED, TASK, CHOSEN])
@pytest.mark.parametrize("kind", _BACKBONES)
def test_a_lifted_backbone_computes_the_same_bits(kind, sharing):
    backbone = _backbone(kind)
    lifted = lift(backbone, _rules(sharing))
    convs = [la for la in leaf_layers(lifted) if type(la) is SelectiveConv2D]
    plain = [
        la for la in leaf_layers(backbone) if type(la) is keras.layers.Conv2D
    ]
    assert [la.name for la in convs] == [la.name for la in plain]
    assert {la.sharing for la in convs} == {sharing}
    np.testing.assert_array_equal(
        lifted(_IMAGES, training=False), backbone(_IMAGES, training=False)
    )


def test_a_network_of_keras_applications_can_be_lifted():
    backbone = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, include_top=False, weights=None, pooling="avg"
    )
    images = np.random.default_rng(0).normal(size=(1, 32, 32, 3))
    lifted = lift(backbone, _rules(TASK))
    np.testing.assert_array_equal(
        lifted(images, training=False), backbone(images, training=False)
    )
    assert lower(lifted).count_params() == backbone.count_params()


def test_adapted_layers_keep_their_statistics():
    adapted = keras.layers.Normalization()
    adapted.adapt(3.0 * _IMAGES + 5.0)
    inputs = keras.Input((16, 16, 3))
    hidden = keras.layers.Conv2D(4, 3)(adapted(inputs))
    hidden = keras.layers.BatchNormalization()(hidden)
    backbone = keras.Model(inputs, hidden)
    wanted = backbone(_IMAGES, training=False)
    lifted = lift(backbone, _rules(TASK))
    np.testing.assert_array_equal(lifted(_IMAGES, training=False), wanted)
    plain = lower(lifted)
    np.testing.assert_array_equal(plain(_IMAGES, training=False), wanted)
    np.testing.assert_allclose(folded(plain)(_IMAGES), wanted, atol=1e-5)


@pytest.mark.parametrize("kind", _BACKBONES)
def test_lifting_leaves_the_backbone_alone(kind):
    backbone = _backbone(kind)
    before = backbone.get_weights()
    lifted = lift(backbone, _rules())
    mine = {id(v) for v in backbone.variables}
    assert not mine & {id(v) for v in lifted.variables}
    for variable in lifted.trainable_variables:
        variable.assign(variable * 0.0)
    for old, now in zip(before, backbone.get_weights()):
        np.testing.assert_array_equal(old, now)


@pytest.mark.parametrize("sharing", [SHARED, TASK, CHOSEN])
@pytest.mark.parametrize("kind", _BACKBONES)
def test_a_lowered_model_is_plain_and_no_larger(kind, sharing):
    backbone = _backbone(kind)
    plain = lower(lift(backbone, _rules(sharing)))
    assert plain.count_params() == backbone.count_params()
    assert not any(hasattr(la, "lower") for la in leaf_layers(plain))
    np.testing.assert_array_equal(
        plain(_IMAGES, training=False), backbone(_IMAGES, training=False)
    )


def test_a_lowered_model_holds_what_is_selected():
    lifted = lift(_backbone("functional"), _rules(CHOSEN))
    first = lifted.get_layer("conv_0")
    first.task_kernel.assign(first.task_kernel * -0.5)
    first.selection.assign(0.0)
    np.testing.assert_array_equal(lower(lifted)(_IMAGES), lifted(_IMAGES))


def test_the_first_matching_rule_counts_and_none_keeps_a_layer():
    backbone = _backbone("functional")

    def only_the_second(conv):
        if conv.name == "conv_0":
            return None
        return SelectiveConv2D.lift(conv, TASK)

    def never(layer):
        raise AssertionError(f"{layer.name} belongs to the first rule")

    base = keras.layers.Conv2D.__mro__[1]  # of convolutions only
    rules = {keras.layers.Conv2D: only_the_second, base: never}
    lifted = lift(backbone, rules)
    assert type(lifted.get_layer("conv_0")) is keras.layers.Conv2D
    assert type(lifted.get_layer("conv_1")) is SelectiveConv2D
    np.testing.assert_array_equal(lifted(_IMAGES), backbone(_IMAGES))


def test_no_rules_give_a_copy():
    backbone = _backbone("residual")
    copy = lift(backbone, {})
    np.testing.assert_array_equal(copy(_IMAGES), backbone(_IMAGES))


def test_a_backbone_without_a_matching_layer_is_refused():
    inputs = keras.Input((16, 16, 3))
    outputs = keras.layers.Flatten()(inputs)
    backbone = keras.Model(inputs, outputs, name="flat")
    with pytest.raises(ValueError, match="'flat' has no layer of type Conv2D"):
        lift(backbone, _rules())


class _Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = keras.layers.Conv2D(2, 3)

    def call(self, inputs):
        return self.conv(inputs)


def _called():
    model = _Subclassed()
    model(_IMAGES)
    return model


@pytest.mark.parametrize(
    "make",
    [
        _called,
        lambda: keras.Sequential([keras.layers.Conv2D(2, 3)]),
        lambda: keras.layers.Conv2D(2, 3),
    ],
    ids=["subclassed", "unbuilt", "layer"],
)
def test_what_is_not_functional_is_refused(make):
    with pytest.raises(ValueError, match="`backbone` must be a functional"):
        lift(make(), _rules())
