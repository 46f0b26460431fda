"""What arrays have in common is stored once, and read back as it was."""

import numpy as np
import pytest
import tensorflow as tf

from tfcl.models.shared_values import SharedValues


def _drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _stored(*arrays):
    """Numbers and values of arrays of one name."""
    values = SharedValues()
    numbers = [values.add("kernel", array) for array in arrays]
    values.freeze()
    for number, array in zip(numbers, arrays):
        found = values.read(number).numpy()
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype
    return values


def _bytes(values):
    return sum(v.numpy().nbytes for v in values.variables_once)


def test_equal_arrays_are_one_whatever_their_names():
    values = SharedValues()
    first = values.add("a", _drawn(3, 5))
    assert values.add("b", _drawn(3, 5)) == first
    assert values.add("a", _drawn(5, 3)) != first
    assert values.num_bytes == 2 * 15 * 4
    values.freeze()
    assert _bytes(values) == 2 * 15 * 4


def test_parts_of_one_array_are_bits():
    """As of tasks that own, and pick, weights of one kernel."""
    kernel = _drawn(7, 9)
    owner = np.random.default_rng(1).integers(0, 4, kernel.shape)
    parts = [np.where(owner <= task, kernel, np.float32(0)) for task in (1, 2)]
    whole = _stored(*parts, kernel)
    # 63 bits are 8 bytes; the whole one needs none.
    assert _bytes(whole) == kernel.nbytes + 2 * 8


def test_the_whole_array_may_belong_to_nobody():
    kernel = _drawn(4, 4)
    marked = np.arange(16).reshape(4, 4) % 2 == 0
    values = _stored(np.where(marked, kernel, 0), np.where(marked, 0, kernel))
    assert _bytes(values) == kernel.nbytes + 2 * 2


def test_smaller_arrays_lie_in_the_leading_block_of_larger_ones():
    wide = _drawn(3, 3, 4, 6)
    narrow = wide[:, :, :2, :5].copy()
    narrow[0, 0] = 0
    assert _bytes(_stored(narrow, wide)) == wide.nbytes + -(-narrow.size // 8)
    assert _bytes(_stored(wide, wide[:, :, :3])) == wide.nbytes


def test_other_arrays_stay_apart():
    one = _drawn(4, 4)
    other = one.copy()
    other[3, 3] = 7.0
    assert _bytes(_stored(one, other)) == 2 * one.nbytes
    # Neither lies in the other.
    assert _bytes(_stored(_drawn(2, 8), _drawn(8, 2))) == 2 * 64
    lost = np.full((4,), np.nan, np.float32)
    lost[0] = 1.0
    assert _bytes(_stored(lost, np.zeros(4, np.float32) + 2)) == 2 * 16


@pytest.mark.parametrize("dtype", ["int32", "bool", "float16", "bfloat16"])
def test_types_are_kept(dtype):
    dtype = tf.as_dtype(dtype).as_numpy_dtype
    whole = np.arange(24).reshape(4, 6).astype(dtype)
    part = whole.copy()
    part[:2] = np.zeros((), dtype)
    _stored(whole, part, np.ones((4, 6), np.float32))


def test_a_large_difference_is_seen_without_looking_at_all():
    many = [_drawn(300, 300, seed=seed) for seed in range(4)]
    assert _bytes(_stored(*many)) == 4 * many[0].nbytes


def test_scalars_and_empty_arrays():
    _stored(np.float32(3), np.float32(0), np.float32(4))
    _stored(np.zeros((0, 3), np.float32))
