"""Second runs of a transformer with prompts, against plain NumPy."""

import keras
import numpy as np
import pytest

from tests.models.backbones.vit_test import forward, state_dict
from tfcl.models.backbones.vit import vit
from tfcl.models.surgery.lift import lower
from tfcl.models.surgery.prompted import (
    attention_layers,
    with_prefixes,
    with_tokens,
)

_IMAGES = np.random.default_rng(1).normal(size=(2, 12, 8, 3))
_PROMPTS = np.random.default_rng(2).normal(size=(3, 12))
_PREFIX = np.random.default_rng(3).normal(size=(2, 4, 12))


@keras.saving.register_keras_serializable(package="tfcl_tests")
class Constant(keras.layers.Layer):
    """The same array for every image."""

    def __init__(self, array, **kwargs):
        super().__init__(**kwargs)
        self.array = np.float32(array)

    def call(self, inputs):
        copies = keras.ops.shape(inputs)[0]
        return keras.ops.repeat(self.array[None], copies, axis=0)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.array.shape)

    def get_config(self):
        return {**super().get_config(), "array": self.array.tolist()}


@pytest.fixture(name="model")
def _model(tmp_path):
    np.savez(tmp_path / "vit.npz", **state_dict(patches=6))
    sizes = {"patch": 4, "width": 12, "depth": 2, "heads": 3}
    return vit((12, 8, 3), **sizes, weights=str(tmp_path / "vit.npz"))


def _assert_computes(model, features, **prompts):
    query = model.output
    both = keras.Model(model.input, [query, features])
    arrays = state_dict(patches=6)
    plain = forward(arrays, _IMAGES, 3)
    wanted = forward(arrays, _IMAGES, 3, **prompts)
    assert np.abs(wanted - plain).max() > 0.1
    for each in (both, lower(both)):
        found = each(np.float32(_IMAGES))
        np.testing.assert_allclose(found[0], plain, atol=2e-5)
        np.testing.assert_allclose(found[1], wanted, atol=2e-5)
    # One set of weights for both runs, in a copy as well.
    assert lower(both).count_params() == model.count_params()


def test_tokens_go_before_the_embedded_ones(model):
    prompts = Constant(_PROMPTS)(model.output)
    features = with_tokens(model, prompts)
    assert features.shape == (None, 12)
    _assert_computes(model, features, prompts=np.stack([_PROMPTS] * 2))


def test_the_transformer_gets_as_many_tokens_more(model):
    features = with_tokens(model, Constant(_PROMPTS)(model.output))
    run = keras.Model(model.input, features)
    assert run.get_layer("prompted").output.shape == (None, 3 + 7, 12)
    assert run.get_layer("prompt_tokens").output.shape == (None, 3, 12)


@pytest.mark.parametrize("block", [0, 1])
def test_prefixes_are_seen_by_the_attention_of_their_block(model, block):
    layer = attention_layers(model)[block]
    features = with_prefixes(model, {layer: Constant(_PREFIX)})
    assert features.shape == (None, 12)
    prefixes = {block: np.stack([_PREFIX] * 2)}
    _assert_computes(model, features, prefixes=prefixes)


def test_other_networks_are_refused():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Flatten()(inputs), name="flat")
    with pytest.raises(ValueError, match="vision transformer.*'flat'"):
        attention_layers(model)
