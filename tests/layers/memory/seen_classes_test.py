"""Classes that were never learned cannot win."""

import keras
import numpy as np

from tfcl.layers.memory.seen_classes import SeenClasses


def test_unseen_classes_are_out_of_reach_and_the_others_unchanged():
    inputs = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    dense = keras.layers.Dense(4)
    layer = SeenClasses(dense, np.array([True, False, True, False]))
    found, plain = np.array(layer(inputs)), np.array(dense(inputs))
    np.testing.assert_array_equal(found[:, [0, 2]], plain[:, [0, 2]])
    assert (found[:, [1, 3]] == -1e9).all()
    assert layer.compute_output_shape((None, 3)) == (None, 4)


def test_it_is_saved_with_the_layer_inside(tmp_path):
    layer = SeenClasses(keras.layers.Dense(3), [True, True, False])
    model = keras.Sequential([keras.Input((2,)), layer])
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    images = np.ones((1, 2), np.float32)
    np.testing.assert_array_equal(again(images), model(images))
    assert again.layers[0].seen == [True, True, False]
