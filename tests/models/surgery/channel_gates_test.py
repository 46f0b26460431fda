"""Gates behind the convolutions of any functional backbone."""

import keras
import numpy as np
import pytest

from tfcl.layers.masked.channel_gate import ChannelGate
from tfcl.models.backbones.lasem_cnn import lasem_cnn
from tfcl.models.surgery.channel_gates import gated
from tfcl.models.surgery.lift import lower

layers = keras.layers
_IMAGES = np.random.default_rng(0).normal(size=(3, 8, 8, 3))
_IMAGES = _IMAGES.astype(np.float32)


def _gate(conv):
    return ChannelGate(conv.filters, 5, name=f"{conv.name}_gate")


def _conv(name, **kwargs):
    settings = {"padding": "same", "activation": "relu", "name": name}
    return layers.Conv2D(4, 3, **{**settings, **kwargs})


def test_a_gate_multiplies_after_the_pool():
    backbone = gated(lasem_cnn((8, 8, 3), (4, 5), (3, 3), (2, 1)), _gate)
    hidden = _IMAGES
    for number, pool in enumerate((2, 1)):
        name = f"conv_{number}"
        gates = backbone.get_layer(f"{name}_gate")(hidden)
        hidden = backbone.get_layer(name)(hidden)
        if pool > 1:
            hidden = layers.MaxPooling2D(pool)(hidden)
        hidden = hidden * gates
    wanted = np.reshape(hidden, (3, -1))
    np.testing.assert_allclose(backbone(_IMAGES), wanted, rtol=1e-6)


def test_a_gate_waits_for_normalisation_and_activation():
    inputs = keras.Input((8, 8, 3))
    hidden = layers.BatchNormalization(name="bn")(
        _conv("a", activation=None)(inputs)
    )
    outputs = layers.Flatten()(layers.ReLU()(hidden))
    backbone = gated(keras.Model(inputs, outputs), _gate)
    backbone.get_layer("bn").beta.assign([-1.0, 0.5, 1.0, 2.0])
    block = backbone.get_layer("bn")(backbone.get_layer("a")(_IMAGES))
    wanted = np.maximum(block, 0) * backbone.get_layer("a_gate")(_IMAGES)
    np.testing.assert_allclose(
        backbone(_IMAGES), np.reshape(wanted, (3, -1)), rtol=1e-5, atol=1e-7
    )


def test_both_ways_around_a_block_see_the_gated_tensor():
    inputs = keras.Input((8, 8, 3))
    one = _conv("a")(inputs)
    two = _conv("b")(one)
    outputs = layers.Flatten()(layers.Add()([one, two]))
    backbone = gated(keras.Model(inputs, outputs), _gate)
    one = backbone.get_layer("a")(_IMAGES) * backbone.get_layer("a_gate")(
        _IMAGES
    )
    two = backbone.get_layer("b")(one) * backbone.get_layer("b_gate")(one)
    wanted = np.reshape(one + two, (3, -1))
    np.testing.assert_allclose(backbone(_IMAGES), wanted, rtol=1e-5, atol=1e-7)
    products = [la for la in backbone.layers if isinstance(la, layers.Multiply)]
    assert len(products) == 2


def test_a_sequential_backbone_is_gated_and_lowered_to_plain_layers():
    backbone = keras.Sequential(
        [keras.Input((8, 8, 3)), _conv("a"), _conv("b"), layers.Flatten()]
    )
    lifted = gated(backbone, _gate)
    plain = lower(lifted)
    np.testing.assert_allclose(
        plain(_IMAGES), lifted(_IMAGES), rtol=1e-5, atol=1e-7
    )
    assert plain.count_params() == lifted.count_params()
    assert not any(isinstance(la, ChannelGate) for la in plain.layers)


def _without():
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, layers.Flatten()(inputs))


def _twice():
    inputs = keras.Input((8, 8, 4))
    conv = _conv("again")
    return keras.Model(inputs, layers.Flatten()(conv(conv(inputs))))


def _inner():
    inner = keras.Sequential([keras.Input((8, 8, 3)), _conv("hidden")])
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, layers.Flatten()(inner(inputs)))


def _channels_first():
    inputs = keras.Input((8, 8, 3))
    conv = _conv("first", data_format="channels_first")
    return keras.Model(inputs, layers.Flatten()(conv(inputs)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_without, "has no convolution"),
        (_twice, "'again' is used twice"),
        (_inner, "'hidden' sits in an inner model"),
        (_channels_first, "'first' must have data_format"),
    ],
)
def test_what_cannot_be_gated_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        gated(make(), _gate)
