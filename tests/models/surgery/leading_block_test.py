"""Networks inside wider ones, by arrays and by what they compute."""

import keras
import numpy as np
import pytest

from tfcl.models.backbones.cpg_vgg import cpg_vgg
from tfcl.models.surgery.leading_block import (
    block_of,
    block_view,
    flattened_positions,
    widened,
)


def test_a_block_shares_its_memory_unless_it_is_copied():
    value = np.arange(24.0).reshape(2, 3, 4)
    view = block_view(value, (2, 2, 3))
    np.testing.assert_array_equal(view, value[:2, :2, :3])
    view[...] = 0.0
    assert not value[:2, :2, :3].any() and value[:2, 2].all()
    assert not np.shares_memory(block_of(value, (1, 1, 1)), value)


def test_a_single_number_is_taken_over():
    """As the count of an adapted `Normalization` is one."""
    np.testing.assert_array_equal(widened(np.array(7), np.array(0)), 7)
    assert block_of(np.array(7), ()).shape == ()


def test_rows_below_a_flattened_map_are_positions_by_units():
    # 2 positions, 3 units below, of which the narrow network knows 2.
    kernel = np.arange(6 * 4).reshape(6, 4)
    block = block_of(kernel, (4, 3), positions=2)
    np.testing.assert_array_equal(block, kernel[[0, 1, 3, 4], :3])
    again = widened(block, np.full((6, 4), -1), positions=2)
    np.testing.assert_array_equal(again[[0, 1, 3, 4], :3], block)
    assert (again[[2, 5]] == -1).all() and (again[:, 3] == -1).all()


def test_norms_of_a_flattened_map_are_positions_by_units():
    scale = np.arange(6)
    np.testing.assert_array_equal(
        block_of(scale, (4,), positions=2), [0, 1, 3, 4]
    )


def test_positions_are_found_behind_layers_without_weights():
    inputs = keras.Input((4, 4, 3))
    hidden = keras.layers.Conv2D(5, 3, name="conv")(inputs)
    hidden = keras.layers.Flatten()(keras.layers.ReLU()(hidden))
    hidden = keras.layers.BatchNormalization(name="norm")(hidden)
    hidden = keras.layers.Dropout(0.5)(hidden)
    hidden = keras.layers.Dense(6, name="dense")(hidden)
    hidden = keras.layers.Dense(7, name="last")(hidden)
    model = keras.Model(inputs, hidden)
    norm = ("gamma", "beta", "moving_mean", "moving_variance")
    assert flattened_positions(model) == {
        **{f"norm/{weight}": 4 for weight in norm},
        "dense/kernel": 4,
    }


@pytest.mark.parametrize("side", [4, 8])
def test_a_network_computes_the_same_inside_a_wider_one(side):
    """The wider one has zeros where the narrow one ends."""
    options = {"layers": (3, "M", 5, "M"), "hidden_units": (6, 7)}
    narrow = cpg_vgg((side, side, 3), **options)
    wide = cpg_vgg((side, side, 3), width=2.0, **options)
    positions = flattened_positions(narrow)
    for layer in narrow.layers:
        for weight in layer.weights:
            twin = next(
                w
                for w in wide.get_layer(layer.name).weights
                if w.name == weight.name
            )
            place = positions.get(f"{layer.name}/{weight.name}", 1)
            fresh = np.zeros(twin.shape)
            twin.assign(widened(weight.numpy(), fresh, place))
    images = np.random.default_rng(0).normal(size=(2, side, side, 3))
    found, wanted = wide(images).numpy(), narrow(images).numpy()
    np.testing.assert_allclose(found[:, :7], wanted, rtol=1e-5, atol=1e-6)
