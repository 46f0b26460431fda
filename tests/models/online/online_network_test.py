"""What an `OnlineNetwork` gives its memory, and when it updates it."""

import dataclasses
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcl.models.online.online_networks import ensemble_network, memory_network

_LABELS = tf.constant([1])


def _network(**options):
    network = memory_network(
        (1, 1, 2),
        3,
        memory_units=4,
        delta=2,
        shared_keys=True,
        key_rate=0.1,
        scramble=True,
        winner_moves=True,
        match_threshold=2.0,  # Above any cosine: every example scrambles.
        age_threshold=0,
        **options,
    )
    (head,) = network.memory_heads
    # Far from the example, so that another unit than the scrambled one wins.
    head.keys.assign([[[-1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.0, -1.0]]])
    return network, head


def _loss(logits):
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(_LABELS, logits)
    )


@pytest.mark.parametrize("first", [False, True])
def test_a_memory_is_read_after_its_own_update_if_asked_for(first):
    network, head = _network(update_first=first)
    image = tf.constant([[[[1.0, 0.2]]]])
    features = image[:, 0, 0]
    start = head.state()
    _, reading = head.read(features, start)
    updated = head.updated(start, reading)
    read = updated if first else start
    with tf.GradientTape() as tape:
        tape.watch(read.memories)
        wanted, best = head.read(features, read)
        loss = _loss(wanted)
    gradient = tape.gradient(loss, read.memories)

    found, logits, gradients, after = network.learn(
        network.values(), image, _loss, (1, 2)
    )
    np.testing.assert_allclose(logits, wanted, rtol=1e-6)
    np.testing.assert_allclose(found, loss, rtol=1e-6)
    (mine,) = gradients
    np.testing.assert_allclose(
        tf.convert_to_tensor(mine), tf.convert_to_tensor(gradient), rtol=1e-6
    )
    # Unit 0 was given to the example; before that unit 2 came closest.
    assert int(best.units[0, 0, 0]) == (0 if first else 2)
    assert np.unique(mine.indices).tolist() == ([0] if first else [2])
    network.assign(network.values(), after())
    for variable, value in zip(head.state_variables, updated):
        np.testing.assert_allclose(variable, value, rtol=1e-6)
    assert int(head.scrambles[0]) == 1  # Once, however often it was read.


def test_an_ensemble_of_memories_updates_first_as_its_members_do():
    def member(image_shape, classes):
        del image_shape, classes
        return _network(update_first=True)[0]

    network = ensemble_network((1, 1, 2), 3, member, models=2)
    _, logits, gradients, _ = network.learn(
        network.values(), tf.constant([[[[1.0, 0.2]]]]), _loss, (1, 2)
    )
    assert logits.shape == (1, 3)
    assert [np.unique(g.indices).tolist() for g in gradients] == [[0], [0]]


def test_keys_can_be_matched_to_the_images():
    """Then units are found by the image, and applied to the features."""

    def blind(image_shape):
        inputs = keras.Input(image_shape)
        pooled = keras.layers.GlobalAveragePooling2D()(inputs)
        return keras.Model(inputs, 0.0 * pooled + 1.0)

    network = memory_network(
        (4, 4, 3),
        2,
        memory_units=4,
        delta=1,
        shared_keys=True,
        key_rate=0.1,
        projection="resize2d",
        key_size=12,
        key_input=True,
        backbone=blind,
    )
    (head,) = network.memory_heads
    assert head.keys.shape == (1, 4, 12)
    images = tf.constant(
        np.random.default_rng(0).normal(size=(8, 4, 4, 3)), tf.float32
    )
    found = network(images).numpy()
    # Features are the same for all: what differs is the unit that is read.
    assert len(np.unique(found[:, 0])) > 1
    wanted = head(tf.ones((8, 3)), key_input=images)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    np.testing.assert_allclose(network.lower()(images), found, rtol=1e-6)
    _, logits, _, after = network.learn(
        network.values(), images, tf.reduce_mean, (1, 2)
    )
    np.testing.assert_allclose(logits, found, rtol=1e-5)
    keys = head.keys.numpy()
    network.assign(network.values(), after())
    assert (head.keys.numpy() != keys).any()


def test_the_factory_shows_every_option_with_the_layer_s_default():
    """What a gin file may bind, and what it gets where it binds nothing."""
    shown = inspect.signature(memory_network).parameters
    (head,) = memory_network((1, 1, 2), 3).memory_heads
    for group in (head.memory, head.key, head.scrambling):
        assert group == type(group)()
        for field in dataclasses.fields(group):
            if field.name in ("key_sets", "key_shape"):
                assert field.name not in shown
                continue
            assert shown[field.name].default == field.default
            assert shown[field.name].annotation == field.type
    assert "options" not in shown


def test_an_option_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="match_treshold"):
        memory_network((1, 1, 2), 3, match_treshold=0.5)
