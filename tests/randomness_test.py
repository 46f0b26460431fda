"""Draws are functions of their key, today and in every later process."""

import numpy as np
import pytest
import tensorflow as tf

from tfcl import randomness

_KEYS = [
    (0,),
    (1,),
    (2**32 - 1,),
    ("order",),
    ("steps",),
    (0, "order"),
    ("order", 1),
    (1, "order"),
    (7, "order", 2),
    (7, "order", 3),
    (7, "order", 2, 1),
    (7, "steps", 2),
    (7, 2, "order"),
]


def test_words_are_these_for_ever():
    # A stored run goes on with the same draws only if these never change.
    assert randomness.seed_words(3, 0).tolist() == [
        2968811710,
        3677149159,
        745650761,
    ]
    assert randomness.seed_words(3, 7, "order", 2).tolist() == [
        2097230594,
        3013226894,
        378607489,
    ]
    assert randomness.stateless_seed(1, "steps", 3, 0).tolist() == [
        -1734112647,
        -2108739408,
    ]


def test_generators_draw_these_for_ever():
    generator = randomness.generator(5, "class pool", 2)
    assert generator.integers(0, 1000, 5).tolist() == [124, 680, 542, 438, 50]
    generator = randomness.generator(5, "class pool", 2)
    assert generator.permutation(6).tolist() == [5, 3, 0, 2, 1, 4]
    assert randomness.generator(0).random(2).tolist() == [
        0.014067035665647709,
        0.2577672456246177,
    ]


def test_draws_depend_on_the_key_and_on_nothing_before():
    first = {key: randomness.seed_words(4, *key).tolist() for key in _KEYS}
    np.random.seed(5)
    tf.random.set_seed(5)
    np.random.default_rng().random(10)
    randomness.generator(3).random(100)
    for key in reversed(_KEYS):
        assert randomness.seed_words(4, *key).tolist() == first[key]
        one, other = randomness.generator(*key), randomness.generator(*key)
        one.random(3)
        assert one.random() != other.random()
        np.testing.assert_array_equal(
            randomness.generator(*key).random(5),
            randomness.generator(*key).random(5),
        )


def test_other_keys_give_other_draws():
    words = {randomness.seed_words(2, *key).tobytes() for key in _KEYS}
    draws = {randomness.generator(*key).random(2).tobytes() for key in _KEYS}
    assert len(words) == len(draws) == len(_KEYS)


def test_neighbouring_keys_give_unrelated_draws():
    draws = np.stack(
        [randomness.generator(7, "order", e).random(500) for e in range(20)]
    )
    correlation = np.corrcoef(draws) - np.eye(20)
    # Of 190 pairs of 500 draws, 5 deviations (5 / sqrt(500)) are never met.
    assert np.abs(correlation).max() < 5 / np.sqrt(500)
    assert abs(draws.mean() - 0.5) < 0.02


def test_more_words_begin_with_the_fewer():
    few = randomness.seed_words(2, 3, "x")
    np.testing.assert_array_equal(few, randomness.seed_words(8, 3, "x")[:2])


def test_words_and_seeds_have_their_types():
    words = randomness.seed_words(3, 1)
    assert (words.dtype, words.shape) == (np.uint32, (3,))
    seed = randomness.stateless_seed(1, "steps")
    assert (seed.dtype, seed.shape) == (np.int32, (2,))
    assert np.array_equal(
        seed.view(np.uint32), randomness.seed_words(2, 1, "steps")
    )
    draw = tf.random.stateless_uniform([3], seed)
    np.testing.assert_array_equal(draw, tf.random.stateless_uniform([3], seed))


def test_numbers_of_any_integer_type_are_one_key():
    wanted = randomness.seed_words(2, 7, 3).tolist()
    for kind in (np.int64, np.int32, np.uint32, np.uint8):
        found = randomness.seed_words(2, kind(7), kind(3)).tolist()
        assert found == wanted


def test_negative_numbers_are_refused():
    with pytest.raises(ValueError):
        randomness.seed_words(1, -1)
