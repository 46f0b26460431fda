"""Tests of `packed_draws`."""

import numpy as np
import pytest
import tensorflow as tf

from tfcl.layers.fast.packed_draws import packed_draws


@pytest.mark.parametrize("dtype", [tf.uint8, tf.uint16])
@pytest.mark.parametrize("count", [0, 1, 5, 1000])
def test_counts_and_dtypes(dtype, count):
    draws = packed_draws(count, dtype, (1, 2))
    assert draws.dtype == dtype and draws.shape == (count,)


@pytest.mark.parametrize("dtype", [tf.uint8, tf.uint16])
def test_draws_are_uniform_and_depend_on_the_seed(dtype):
    draws = packed_draws(1 << 18, dtype, (1, 2)).numpy()
    counts = np.bincount(draws >> 8 * (dtype.size - 1), minlength=256)
    # A thousand per bin, deviation 32.
    assert abs(counts - 1024).max() < 6 * 32
    again = packed_draws(1 << 18, dtype, (1, 2)).numpy()
    other = packed_draws(1 << 18, dtype, (1, 3)).numpy()
    np.testing.assert_array_equal(draws, again)
    assert (draws != other).mean() > 0.98


def test_neighbours_out_of_one_word_are_independent():
    draws = packed_draws(1 << 18, tf.uint8, (3, 4)).numpy() / 255.0
    parts = draws.reshape(-1, 4)
    correlations = np.corrcoef(parts.T) - np.eye(4)
    assert abs(correlations).max() < 6 / np.sqrt(len(parts))
