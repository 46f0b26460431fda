"""What `MemoryDense` promises beside the published numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing.layers import run_layer_test
from tfcl.layers.memory import memory_update
from tfcl.layers.memory.memory_dense import MemoryDense
from tfcl.layers.memory.memory_options import KeyOptions, grouped


def _built(units=3, features=4, **options):
    options = grouped({"memory_units": 5, "delta": 2, **options})
    layer = MemoryDense(units, **options)
    layer.build((None, features))
    return layer


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shared_keys": False, "key_update": "gradient", "scramble": False},
        {"similarity": "euclidean", "projection": "resize1d", "key_size": 3},
    ],
    ids=["shared", "unshared", "resized"],
)
def test_memory_dense(options):
    run_layer_test(
        MemoryDense,
        {"units": 3, **grouped({"memory_units": 4, "delta": 2, **options})},
        (6, 4),
        (6, 3),
        expected_mixed_dtype="float32",
    )


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"delta": 6}, "delta"),
        ({"memory_units": 0, "delta": 0}, "memory_units"),
        ({"similarity": "hamming"}, "similarity"),
        ({"bandwidth": 0.0}, "bandwidth"),
        ({"inverse_temperature": -1.0}, "inverse_temperature"),
        ({"key_rate": -0.1}, "key_rate"),
        ({"usage_threshold": 1.5}, "usage_threshold"),
        ({"key_size": 0}, "key_size"),
        ({"layer_norm": "batch"}, "layer_norm"),
        ({"projection": "cut"}, "projection"),
        ({"memory_update": "none"}, "memory_update"),
        ({"key_update": "none"}, "key_update"),
        ({"scramble_score": "raw"}, "scramble_score"),
        ({"key_sets": 2}, "key_sets"),
        ({"key_sets": 0}, "key_sets"),
        ({"units": 0}, "units"),
    ],
)
def test_wrong_options_are_named(options, name):
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
        _built(**options)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"key_size": 3}, "key_size"),
        ({"projection": "sign", "key_size": 5}, "key_size"),
        ({"projection": "resize2d", "key_size": 4}, "projection"),
        (
            {
                "projection": "resize2d",
                "key_size": 2,
                "key_shape": (4, 4, 3),
            },
            "key_size",
        ),
    ],
)
def test_keys_that_the_projection_cannot_give_are_refused(options, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        _built(**options)


def test_the_winner_alone_gets_a_gradient():
    for update, trained in (("winner", 1), ("all", 2)):
        layer = _built(memory_update=update)
        state = layer.state()
        with tf.GradientTape() as tape:
            tape.watch(state.memories)
            logits, reading = layer.read(tf.ones((1, 4)), state)
            loss = tf.reduce_sum(logits)
        gradient = tf.convert_to_tensor(tape.gradient(loss, state.memories))
        rows = np.flatnonzero(np.abs(gradient).sum(-1))
        wanted = sorted(reading.units[0, 0, :trained].numpy())
        assert rows.tolist() == wanted


def test_the_plain_cosine_scrambles_less_than_the_scaled_response():
    """A perfect match is scrambled only by the published comparison."""
    counts = {}
    for score in ("similarity", "scaled"):
        layer = _built(scramble_score=score, match_threshold=0.95)
        inputs = layer.keys[0, 0][None] * 2.0
        _, reading = layer.read(inputs)
        state = layer.updated(layer.state(), reading)
        counts[score] = int(state.scrambles[0])
    assert counts == {"similarity": 0, "scaled": 1}


def test_a_scrambled_unit_can_become_the_winner():
    for moves in (False, True):
        layer = _built(
            scramble_score="scaled", winner_moves=moves, key_rate=0.0
        )
        _, reading = layer.read(tf.ones((1, 4)))
        winner = int(reading.units[0, 0, 0])
        state = layer.updated(layer.state(), reading)
        # All are weak and of one age: the first is replaced.
        used = np.flatnonzero(state.usage.numpy()[0]).tolist()
        assert used == ([0] if moves else [winner])
        np.testing.assert_allclose(state.keys[0, 0], np.full(4, 0.5))
        np.testing.assert_array_equal(state.memories[0], layer.memories[winner])


def test_random_memories_are_drawn_within_the_bound():
    layer = _built(scramble_score="scaled", random_memories=True)
    _, reading = layer.read(tf.ones((1, 4)))
    state = layer.updated(layer.state(), reading, seed=[1, 2])
    again = layer.updated(layer.state(), reading, seed=[1, 2])
    other = layer.updated(layer.state(), reading, seed=[1, 3])
    drawn = state.memories[0].numpy()
    assert np.abs(drawn).max() <= 1.0 / np.sqrt(drawn.size)
    assert not (drawn == layer.memories.numpy()).all(-1).any()
    np.testing.assert_array_equal(drawn, again.memories[0])
    assert (drawn != other.memories[0].numpy()).any()


def test_large_memories_are_written_row_by_row_to_the_same_end():
    """Both ways to write a scrambled unit agree."""
    layer = _built(scramble_score="scaled", shared_keys=False)
    _, reading = layer.read(tf.ones((2, 4)))
    wanted = layer.updated(layer.state(), reading)
    limit = memory_update._LARGE
    try:
        memory_update._LARGE = 0
        found = layer.updated(layer.state(), reading)
    finally:
        memory_update._LARGE = limit
    for one, other in zip(found, wanted):
        np.testing.assert_array_equal(one, other)


def test_evaluation_counts_only_if_asked_for():
    """The published program counts winners in evaluation too."""
    for counts in (False, True):
        layer = _built(count_evaluations=counts)
        layer(tf.ones((3, 4)))
        assert int(np.sum(layer.key_counter)) == 3 * counts
        assert int(np.sum(layer.usage)) == 0


def test_keys_are_matched_to_another_input():
    layer = _built(projection="resize2d_sign", key_shape=(4, 6, 3), key_size=18)
    inputs = tf.ones((2, 4))
    images = np.random.default_rng(0).normal(size=(2, 4, 6, 3))
    one, reading = layer.read(inputs, key_input=images)
    assert reading.queries.shape == (2, 18)
    np.testing.assert_allclose(one, layer(inputs, key_input=images), rtol=1e-5)
    assert (one.numpy()[0] != one.numpy()[1]).any()


def test_the_first_call_builds():
    images = np.ones((2, 3), np.float32)
    inputs = np.ones((2, 5), np.float32)
    assert MemoryDense(4)(inputs).shape == (2, 4)
    layer = MemoryDense(4, key=KeyOptions(key_shape=(3,)))
    assert layer(inputs, key_input=images).shape == (2, 4)
    assert layer.keys.shape == (1, 8, 3)
    model = keras.Sequential([keras.layers.Dense(6), MemoryDense(4)])
    assert model(inputs).shape == (2, 4)
    sides = keras.Input((5,)), keras.Input((3,))
    outputs = MemoryDense(4, key=KeyOptions(key_shape=(3,)))(
        sides[0], key_input=sides[1]
    )
    assert keras.Model(sides, outputs)([inputs, images]).shape == (2, 4)


def test_a_configuration_of_version_0_1_is_read_and_written_alike():
    """Files of Keras models and served heads hold it."""
    old = {
        "name": "head",
        "trainable": True,
        "dtype": {
            "module": "keras",
            "class_name": "DTypePolicy",
            "config": {"name": "float64"},
            "registered_name": None,
        },
        "units": 4,
        "memory_units": 6,
        "delta": 3,
        "shared_keys": False,
        "key_sets": None,
        "use_bias": False,
        "key_size": 2,
        "projection": "resize1d",
        "similarity": "euclidean",
        "bandwidth": 2.0,
        "inverse_temperature": 25.0,
        "memory_update": "all",
        "key_update": "winner",
        "key_rate": 0.25,
        "scramble": True,
        "match_threshold": 0.5,
        "usage_threshold": 7,
        "age_threshold": 8,
        "scramble_score": "scaled",
        "random_memories": True,
        "winner_moves": True,
        "detach_keys": False,
        "key_shape": [3],
        "layer_norm": "deviation",
        "count_evaluations": True,
    }
    layer = keras.saving.deserialize_keras_object(
        {
            "module": None,
            "class_name": "MemoryDense",
            "config": old,
            "registered_name": "tfcl>MemoryDense",
        }
    )
    assert layer.variable_dtype == "float64"
    assert layer.memory.delta == 3 and layer.key.similarity == "euclidean"
    assert layer.scrambling.age_threshold == 8
    found = keras.saving.serialize_keras_object(layer)["config"]
    found["key_shape"] = list(layer.key.key_shape)
    assert {k: v for k, v in found.items() if k != "dtype"} == {
        k: v for k, v in old.items() if k != "dtype"
    }
