"""Networks in one store answer as on their own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcl.models.surgery.task_networks import TaskNetworks, bytes_together

_LAYERS = keras.layers


def _network(classes, seed, name="conv", activation="relu"):
    """A branch, an inner model and a norm; names and values by arguments."""
    keras.utils.set_random_seed(seed)
    inner = keras.Sequential(
        [keras.Input((8, 8, 4)), _LAYERS.Conv2D(4, 3, padding="same")]
    )
    inputs = keras.Input((8, 8, 3))
    hidden = _LAYERS.Conv2D(4, 3, padding="same", name=name)(inputs)
    hidden = _LAYERS.Activation(activation)(hidden)
    hidden = _LAYERS.Add()([inner(hidden), hidden])
    hidden = _LAYERS.BatchNormalization()(hidden)
    hidden = _LAYERS.Flatten()(hidden)
    return keras.Model(inputs, _LAYERS.Dense(classes)(hidden))


_IMAGES = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype(np.float32)


def _check(models):
    """The networks of models, which give the same bits."""
    wanted = [
        tf.function(lambda x, m=m: m(x, training=False))(tf.constant(_IMAGES))
        for m in models
    ]
    networks = TaskNetworks(models)
    for number, logits in enumerate(wanted):
        found = tf.function(lambda x, n=number: networks(n, x))
        np.testing.assert_array_equal(found(tf.constant(_IMAGES)), logits)
    return networks


def test_networks_of_one_graph_share_it():
    """Whatever their layers are called; of other values, none is shared."""
    models = [_network(3, 1), _network(3, 2, "other"), _network(2, 3)]
    networks = _check(models)
    assert networks.num_graphs == 2
    assert networks.separate_bytes == sum(4 * m.count_params() for m in models)
    # The norms of all are as new: mean and beta 0, variance and gamma 1.
    # Zeros and ones of 4, and biases of 4 zeros.
    assert networks.num_bytes < networks.separate_bytes
    assert networks.num_bytes == bytes_together(models)


def test_what_is_equal_is_stored_once():
    models = [_network(3, 1), _network(3, 1)]
    networks = _check(models)
    assert networks.num_graphs == 1
    assert networks.num_bytes < 4 * models[0].count_params() + 1
    stored = [w.shape.num_elements() * w.dtype.size for w in networks.weights]
    assert sum(stored) == networks.num_bytes


def test_what_differs_beside_values_is_another_graph():
    assert _check([_network(3, 1), _network(3, 1, activation="elu")])
    one = TaskNetworks([_network(3, 1), _network(3, 1, activation="elu")])
    assert one.num_graphs == 2


def test_a_layer_called_like_an_activation_is_no_activation():
    """Layers are told by their places, everything else by its text."""
    models = [
        _network(3, 1, name="relu", activation="relu"),
        _network(3, 1, name="elu", activation="elu"),
    ]
    assert _check(models).num_graphs == 2


def test_models_need_not_be_there_together():
    alive = []

    def one_by_one():
        for seed in (1, 2, 3):
            model = _network(2, seed)
            alive.append(model)
            yield model
            # Its values are taken: what becomes of it does not matter.
            model.set_weights([np.zeros(w.shape) for w in model.weights])

    networks = TaskNetworks(one_by_one())
    wanted = _network(2, 1)(_IMAGES, training=False)
    np.testing.assert_allclose(
        networks(0, tf.constant(_IMAGES)), wanted, atol=1e-5
    )


def test_another_size_is_refused_by_tensorflow():
    networks = TaskNetworks([_network(2, 1)])
    with pytest.raises((TypeError, ValueError)):
        networks(0, tf.zeros((2, 9, 8, 3)))
