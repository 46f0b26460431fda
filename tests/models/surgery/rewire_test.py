"""Graphs within graphs, layers called twice, and names that are taken."""

import keras
import numpy as np
import pytest

from tests.testing.backbones import BACKBONES
from tfcl.layers.task_head import TaskHead
from tfcl.models.layer_names import layer_names, with_own_names
from tfcl.models.network import TaskNetwork
from tfcl.models.surgery.bundled_network import BundledNetwork
from tfcl.models.surgery.fold import folded
from tfcl.models.surgery.lift import lower
from tfcl.models.surgery.reprogram import reprogram
from tfcl.models.surgery.rewire import inlined, rewire, with_arguments
from tfcl.models.variables import leaf_layers

_IMAGES = np.random.default_rng(0).normal(size=(3, 8, 8, 3))
_IMAGES = _IMAGES.astype(np.float32)


def _conv(*args, **kwargs):
    return keras.layers.Conv2D(*args, padding="same", **kwargs)


def _two_outputs():
    inputs = keras.Input((8, 8, 4))
    first = _conv(4, 3, name="inner_conv")(inputs)
    first = keras.layers.BatchNormalization(name="inner_norm")(first)
    second = _conv(4, 1, activation="relu", name="inner_mix")(first)
    return keras.Model(inputs, [first, second], name="inner")


def _backbone():
    """Names that the changed network would give are taken in it."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    hidden = _conv(4, 3, activation="relu", name="a")(inputs)
    hidden = layers.Activation("tanh", name="a_activation")(hidden)
    inner = _two_outputs()
    first, second = inner(hidden)
    third, fourth = inner(second)
    hidden = layers.Add(name="a_clr")([first, second, third, fourth])
    norm = layers.BatchNormalization(name="a_folded")
    one = norm(_conv(4, 3, name="b")(hidden))
    other = norm(_conv(4, 3, name="c")(hidden))
    hidden = layers.Concatenate(name="a_clr_banked")([one, norm(other)])
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(hidden))


def _randomised(model):
    generator = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(generator.uniform(0.1, 0.4, weight.shape))
    return model


def test_inner_models_and_shared_layers_survive_every_change():
    backbone = _randomised(_backbone())
    changed, sites = reprogram(backbone, "full")
    found = sorted(site.conv.name for site in sites)
    assert found == ["a", "b", "c", "inner_conv", "inner_mix"]
    np.testing.assert_array_equal(changed(_IMAGES), backbone(_IMAGES))
    _randomised(changed)
    wanted = changed(_IMAGES).numpy()
    plain = lower(changed)
    np.testing.assert_allclose(plain(_IMAGES), wanted, rtol=1e-5)
    without = folded(plain)
    np.testing.assert_allclose(without(_IMAGES), wanted, rtol=1e-4)
    kind = keras.layers.BatchNormalization
    # One is behind another norm, too.
    left = [la.name for la in leaf_layers(without) if isinstance(la, kind)]
    assert left == ["a_folded"]


def test_inner_models_and_shared_layers_are_bundled():
    backbone, _ = reprogram(_randomised(_backbone()), "full")
    network = TaskNetwork(_randomised(backbone), TaskHead(3))
    tasks = np.zeros(len(_IMAGES), np.int32)
    bundle = BundledNetwork(network, iter([None]))
    np.testing.assert_allclose(
        bundle(_IMAGES, tasks), network(_IMAGES), rtol=1e-4
    )


def test_a_model_without_a_graph_is_named():
    @keras.saving.register_keras_serializable("rewire_test")
    class Own(keras.Model):
        def build(self, shape):
            del shape

        def call(self, inputs):
            return 2.0 * inputs

    inputs = keras.Input((8, 8, 3))
    hidden = Own(name="odd")(_conv(4, 3)(inputs))
    with pytest.raises(ValueError, match="'odd'.*keras.Sequential with an Inp"):
        reprogram(keras.Model(inputs, hidden))


def test_inner_models_give_their_layers_away():
    model = _backbone()
    flat = inlined(model)
    assert not [la for la in flat.layers if isinstance(la, keras.Model)]
    assert {id(v) for v in flat.weights} == {id(v) for v in model.weights}
    images = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:]))
    np.testing.assert_array_equal(flat(images), model(images))
    assert inlined(flat) is flat


_SHAPE = (8, 8, 3)


def test_what_is_added_gets_no_name_of_the_model():
    """A loaded model may have names that Keras counts to, or ours."""
    model = BACKBONES["next_names"](_SHAPE)
    before = layer_names(model)

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        if not isinstance(layer, keras.layers.Conv2D):
            return outputs
        outputs = keras.layers.Multiply()([outputs, outputs])
        return keras.layers.ReLU(name=next(iter(before)))(outputs * 2.0)

    changed = rewire(model, call, keras.layers.Activation("relu"))
    names = [operation.name for operation in changed.operations]
    # Three behind each of two convolutions, and one at the end.
    assert len(set(names)) == len(names) == len(before) + 7
    assert before == layer_names(model)


def test_what_stands_in_a_layer_s_place_may_have_its_name():
    model = BACKBONES["plain"](_SHAPE)

    def call(layer, *args, **kwargs):
        return type(layer).from_config(layer.get_config())(*args, **kwargs)

    again = rewire(model, call)
    names = [la.name for la in again.layers if la.weights]
    assert names == [la.name for la in model.layers if la.weights]


@pytest.mark.parametrize("names", ["next_names", "our_names", "twins"])
def test_heads_and_bundles_get_no_name_of_the_backbone(names):
    backbone = with_own_names(BACKBONES[names], image_shape=_SHAPE)
    backbone, _ = reprogram(backbone, "full")
    network = TaskNetwork(backbone, TaskHead(3, hidden_units=(5,)))
    images = _IMAGES[:, :8, :8]
    wanted = network(images).numpy()
    served = network.lower()
    np.testing.assert_allclose(served(images), wanted, rtol=1e-4, atol=1e-5)
    bundle = BundledNetwork(network, iter([None]))
    tasks = np.zeros(len(images), np.int32)
    found = bundle(images, tasks)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


class _Shift(keras.layers.Layer):
    """Adds 1, or what it is called with."""

    def call(self, inputs, by=1.0):
        return inputs + by


@pytest.mark.parametrize("sequential", [False, True])
def test_layers_get_other_arguments_also_in_inner_models(sequential):
    if sequential:
        inner = keras.Sequential([keras.Input((2,)), _Shift(name="deep")])
    else:
        inputs = keras.Input((2,))
        inner = keras.Model(inputs, _Shift(name="deep")(inputs))
    inputs = keras.Input((2,))
    dense = keras.layers.Dense(2, name="dense")
    hidden = _Shift(name="shift")(dense(inputs))
    model = keras.Model(inputs, inner(inner(hidden)), name="outer")
    again = with_arguments(model, _Shift, by=10.0)
    images = np.ones((1, 2), np.float32)
    plain = np.array(dense(images))
    np.testing.assert_allclose(again(images), plain + 30.0, rtol=1e-6)
    np.testing.assert_allclose(model(images), plain + 3.0, rtol=1e-6)
    assert again.name == "outer"
    assert [id(v) for v in again.variables] == [id(v) for v in model.variables]
