"""The selective convolution against the plain one that it stands for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing.layers import run_layer_test
from tfcl.layers.transfer.selective_conv2d import (
    CHOSEN,
    SHARED,
    TASK,
    SelectiveConv2D,
)

_SHARINGS = (SHARED, TASK, CHOSEN)
_FORMS = {
    "plain": {},
    "strides": {"strides": 2, "padding": "same"},
    "dilation": {"dilation_rate": (2, 1)},
    "groups": {"groups": 2},
    "no_bias": {"use_bias": False, "activation": "relu"},
    "oblong": {"kernel_size": (1, 3), "padding": "same"},
}
_IMAGES = np.random.default_rng(3).normal(size=(3, 7, 6, 4))
_IMAGES = _IMAGES.astype(np.float32)


def _conv(**kwargs):
    """A plain convolution whose weights are all different."""
    conv = keras.layers.Conv2D(**{"filters": 6, "kernel_size": 3, **kwargs})
    conv.build(_IMAGES.shape)
    _randomise(conv.variables, seed=0)
    return conv


def _randomise(variables, seed):
    generator = np.random.default_rng(seed)
    for variable in variables:
        variable.assign(generator.normal(size=variable.shape))


def _lifted(conv, sharing):
    layer = SelectiveConv2D.lift(conv, sharing)
    layer.build(_IMAGES.shape)
    layer.adopt(conv)
    return layer


def _chosen(**kwargs):
    """A layer with a choice between two different pairs."""
    layer = _lifted(_conv(**kwargs), CHOSEN)
    _randomise(layer.own_variables, seed=1)
    return layer


def _plain(layer, variables):
    """The output of a plain convolution with the pair `variables`."""
    conv = _conv(**_plain_config(layer))
    conv.set_weights([v.numpy() for v in variables])
    return conv(_IMAGES).numpy()


def _plain_config(layer):
    config = layer.get_config()
    del config["generator"]
    del config["sharing"]
    return config


@pytest.mark.parametrize("sharing", _SHARINGS)
@pytest.mark.parametrize(
    ("form", "shape"),
    [
        ("plain", (3, 5, 4, 6)),
        ("strides", (3, 4, 3, 6)),
        ("dilation", (3, 3, 4, 6)),
        ("groups", (3, 5, 4, 6)),
        ("no_bias", (3, 5, 4, 6)),
        ("oblong", (3, 7, 6, 6)),
    ],
)
def test_is_a_proper_layer(sharing, form, shape):
    run_layer_test(
        SelectiveConv2D,
        {"filters": 6, "kernel_size": 3, "sharing": sharing, **_FORMS[form]},
        input_shape=(3, 7, 6, 4),
        expected_output_shape=shape,
        # A new layer with a choice uses its shared pair.
        idle_variables=("task_kernel", "task_bias") * (sharing == CHOSEN),
    )


@pytest.mark.parametrize("sharing", _SHARINGS)
@pytest.mark.parametrize("form", _FORMS)
def test_a_lifted_convolution_computes_the_same_bits(sharing, form):
    conv = _conv(**_FORMS[form])
    layer = _lifted(conv, sharing)
    np.testing.assert_array_equal(layer(_IMAGES), conv(_IMAGES))
    assert layer.name == conv.name


@pytest.mark.parametrize("form", _FORMS)
def test_the_selection_switches_between_the_two_pairs(form):
    layer = _chosen(**_FORMS[form])
    shared = _plain(layer, layer.shared_variables)
    own = _plain(layer, layer.own_variables)
    assert (shared != own).any()
    np.testing.assert_array_equal(layer(_IMAGES), shared)
    layer.selection.assign(0.0)
    np.testing.assert_array_equal(layer(_IMAGES), own)
    layer.selection.assign(1.0)
    np.testing.assert_array_equal(layer(_IMAGES), shared)


def test_the_selection_switches_inside_one_trace():
    layer = _chosen()
    traced = tf.function(layer)
    shared = traced(_IMAGES).numpy()
    layer.selection.assign(0.0)
    assert (traced(_IMAGES).numpy() != shared).any()
    assert traced.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("selected", [1.0, 0.0])
def test_only_the_selected_pair_is_trained(selected):
    layer = _chosen()
    layer.selection.assign(selected)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(_IMAGES) ** 2)
    pairs = [
        [v.value for v in layer.shared_variables],
        [v.value for v in layer.own_variables],
    ]
    shared, own = tape.gradient(loss, pairs)
    trained, idle = (shared, own) if selected else (own, shared)
    assert all(gradient.numpy().any() for gradient in trained)
    assert not any(gradient.numpy().any() for gradient in idle)


@pytest.mark.parametrize(
    ("sharing", "names"),
    [
        (SHARED, ["shared_kernel", "shared_bias"]),
        (TASK, ["task_kernel", "task_bias"]),
        (
            CHOSEN,
            ["shared_kernel", "shared_bias", "task_kernel", "task_bias"],
        ),
    ],
)
def test_holds_no_more_weights_than_its_sharing_needs(sharing, names):
    layer = _lifted(_conv(), sharing)
    found = [v.name for v in layer.trainable_variables]
    assert sorted(found) == sorted(names)
    owners = {
        "shared": [v.name for v in layer.shared_variables],
        "task": [v.name for v in layer.own_variables],
    }
    for owner, found in owners.items():
        assert found == [n for n in names if n.startswith(owner)]
    assert (layer.selection is not None) == (sharing == CHOSEN)


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("selected", [1.0, 0.0])
def test_lower_gives_the_plain_convolution_of_the_active_pair(form, selected):
    layer = _chosen(**_FORMS[form])
    layer.selection.assign(selected)
    plain, weights = layer.lower()
    assert type(plain) is keras.layers.Conv2D
    plain.build(_IMAGES.shape)
    plain.set_weights(weights)
    np.testing.assert_array_equal(plain(_IMAGES), layer(_IMAGES))


@pytest.mark.parametrize("sharing", [SHARED, TASK])
def test_lower_undoes_lift(sharing):
    conv = _conv(activation="relu")
    plain, weights = _lifted(conv, sharing).lower()
    assert plain.get_config() == conv.get_config()
    for value, original in zip(weights, conv.get_weights()):
        np.testing.assert_array_equal(value, original)


@pytest.mark.parametrize("sharing", ["both", "", None, True])
def test_an_unknown_sharing_is_refused(sharing):
    with pytest.raises(ValueError, match="`sharing` must be.*Received"):
        SelectiveConv2D(4, 3, sharing=sharing)
