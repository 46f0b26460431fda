"""Sizes of random parts of an image."""

import numpy as np
import pytest
import tensorflow as tf

from tfcl.data.random_areas import AREA_DRAWS, area_lengths


def drawn(count):
    return tf.constant(
        np.random.default_rng(0).random((count, AREA_DRAWS), np.float32)
    )


def test_areas_and_ratios_of_parts_are_as_asked():
    lengths = area_lengths(drawn(4000), (100, 100), (0.1, 0.5), (0.5, 2.0))
    lengths = lengths.numpy()
    area = lengths.prod(1) / 100**2
    ratio = lengths[:, 1] / lengths[:, 0]
    # Lengths are whole numbers of at least 22 pixels.
    assert 0.1 * 0.95 < area.min() < 0.12 and 0.48 < area.max() < 0.5 * 1.05
    assert area.mean() == pytest.approx(0.3, abs=0.01)
    assert 0.5 * 0.95 < ratio.min() and ratio.max() < 2 * 1.05
    assert np.log(ratio).mean() == pytest.approx(0.0, abs=0.03)


@pytest.mark.parametrize(
    ("size", "ratio", "wanted"),
    [
        ((8, 6), (2.0, 2.0), (3, 6)),
        ((8, 6), (0.5, 0.5), (8, 4)),
        # What torchvision takes of a narrow and of a wide image.
        ((90, 30), (3 / 4, 4 / 3), (40, 30)),
        ((30, 90), (3 / 4, 4 / 3), (30, 40)),
        ((1, 90), (3 / 4, 4 / 3), (1, 1)),
    ],
)
def test_what_never_fits_becomes_the_middle_of_that_ratio(size, ratio, wanted):
    found = area_lengths(drawn(3), size, (1.0, 1.0), ratio)
    assert found.numpy().tolist() == [list(wanted)] * 3


def test_the_size_may_be_known_late():
    @tf.function(input_signature=[tf.TensorSpec((2,), tf.int32)])
    def late(size):
        return area_lengths(drawn(50), size, (0.1, 1.0), (0.5, 2.0))

    for size in ((20, 30), (50, 7)):
        wanted = area_lengths(drawn(50), size, (0.1, 1.0), (0.5, 2.0))
        np.testing.assert_array_equal(late(tf.constant(size)), wanted)
        assert (wanted.numpy() <= size).all() and (wanted.numpy() >= 1).all()
