"""Backbone and head together, and the plain model that they lower to."""

import keras
import numpy as np
import pytest

from tfcl.layers.task_head import TaskHead
from tfcl.layers.transfer.selective_conv2d import CHOSEN, SelectiveConv2D
from tfcl.models.backbones.lasem_cnn import lasem_cnn
from tfcl.models.network import TaskNetwork
from tfcl.models.surgery.lift import lift

_IMAGES = np.random.default_rng(0).normal(size=(3, 8, 8, 3))
_IMAGES = _IMAGES.astype(np.float32)


def _backbone():
    backbone = lasem_cnn((8, 8, 3), (4, 6), (3, 3), (2, 2))
    return lift(
        backbone,
        {keras.layers.Conv2D: lambda c: SelectiveConv2D.lift(c, CHOSEN)},
    )


def _network(max_classes=4, pretrained=False, **kwargs):
    head = TaskHead(max_classes, name="head", **kwargs)
    return TaskNetwork(_backbone(), head, pretrained)


def test_logits_are_the_head_s_of_the_backbone_s_features():
    network = _network()
    np.testing.assert_array_equal(
        network(_IMAGES), network.head(network.backbone(_IMAGES))
    )


def test_lists_every_weight_of_backbone_and_head():
    network = _network(hidden_units=(5,))
    listed = network.backbone_variables + network.head_variables
    names = [owned.name for owned in listed]
    assert len(set(names)) == len(names)
    assert {id(owned.variable) for owned in listed} == {
        id(v) for v in network.backbone.weights + network.head.weights
    }
    assert [owned.name for owned in network.head_variables] == [
        "head/kernel_0",
        "head/kernel_1",
        "head/bias_0",
        "head/bias_1",
        "head/columns",
    ]


def test_only_the_backbone_can_be_pretrained():
    network = _network(pretrained=True)
    assert all(o.initializer is None for o in network.backbone_variables)
    assert all(o.initializer is not None for o in network.head_variables)


def test_random_layers_seeds_are_state_and_no_weights():
    inputs = keras.Input((8, 8, 3))
    hidden = keras.layers.Dropout(0.5)(keras.layers.Flatten()(inputs))
    backbone = keras.Model(inputs, keras.layers.Dense(3)(hidden))
    network = TaskNetwork(backbone, TaskHead(2))
    assert [v.name for v in network.random_state] == ["seed_generator_state"]
    assert _network().random_state == []


@pytest.mark.parametrize("columns", [[0, 1], [0, 1, 2, 3]])
@pytest.mark.parametrize("selected", [[1, 0], [0, 0]])
def test_the_lowered_model_gives_the_active_logits(columns, selected):
    network = _network(hidden_units=(5,), bias_initializer="glorot_uniform")
    network.head.use_columns(columns)
    for number, value in enumerate(selected):
        layer = network.backbone.get_layer(f"conv_{number}")
        layer.task_kernel.assign(layer.task_kernel * 2.0)
        layer.selection.assign(value)
    plain = network.lower()
    assert plain.output_shape == (None, len(columns))
    # A narrower product may be summed in another order.
    np.testing.assert_allclose(
        plain(_IMAGES),
        network(_IMAGES).numpy()[:, : len(columns)],
        rtol=1e-5,
        atol=1e-6,
    )


def test_the_lowered_model_has_the_parameters_of_a_plain_network():
    network = _network(4, hidden_units=(5,))
    network.head.use_columns([0, 1, 2])
    convolutions = (3 * 3 * 3 + 1) * 4 + (3 * 3 * 4 + 1) * 6
    dense = (2 * 2 * 6 + 1) * 5 + (5 + 1) * 3
    assert network.lower().count_params() == convolutions + dense


def test_a_backbone_that_ends_in_maps_is_refused():
    inputs = keras.Input((8, 8, 3))
    backbone = keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs))
    with pytest.raises(ValueError, match=r"\(batch, features\).*6, 6, 2"):
        TaskNetwork(backbone, TaskHead(2))


def test_a_backbone_without_a_size_is_refused():
    inputs = keras.Input((None, None, 3))
    backbone = keras.Model(inputs, keras.layers.Flatten()(inputs))
    with pytest.raises(ValueError, match="Received: output shape"):
        TaskNetwork(backbone, TaskHead(2))
