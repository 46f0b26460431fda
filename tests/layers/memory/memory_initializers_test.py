"""Start values of keys and memory units."""

import keras
import numpy as np
import pytest

from tfcl.layers.memory.memory_initializers import (
    KeyInitializer,
    MemoryInitializer,
)


@pytest.mark.parametrize("kind", [KeyInitializer, MemoryInitializer])
def test_values_fill_the_range_of_the_last_axis(kind):
    values = np.array(kind(seed=1)((2, 50, 16)))
    assert 0.9 / 4 < np.abs(values).max() <= 1 / 4
    assert abs(values.mean()) < 0.02


def test_keys_may_have_unit_length():
    keys = np.array(KeyInitializer(unit_length=True, seed=1)((1, 8, 5)))
    np.testing.assert_allclose(np.linalg.norm(keys, axis=-1), 1.0, rtol=1e-6)


def test_the_tail_of_a_unit_scales_by_one_and_adds_nothing():
    plain = np.array(MemoryInitializer(seed=1)((1, 3, 10)))
    units = np.array(MemoryInitializer(tail=4, seed=1)((1, 3, 10)))
    np.testing.assert_array_equal(units[..., :6], plain[..., :6])
    np.testing.assert_array_equal(units[0, 0, 6:], [1, 1, 0, 0])


@pytest.mark.parametrize(
    "wanted",
    [KeyInitializer(unit_length=True, seed=3), MemoryInitializer(2, seed=3)],
)
def test_they_survive_their_configuration(wanted):
    again = keras.initializers.deserialize(keras.initializers.serialize(wanted))
    np.testing.assert_array_equal(again((2, 6)), wanted((2, 6)))
