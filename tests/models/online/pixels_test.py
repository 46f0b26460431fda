"""Features that are the pixels."""

import numpy as np

from tfcl.models.online.pixels import pixels


def test_the_features_are_the_pixels_in_a_row():
    images = np.arange(24, dtype=np.float32).reshape(2, 2, 3, 2)
    model = pixels((2, 3, 2))
    np.testing.assert_array_equal(model(images), images.reshape(2, 12))
    assert not model.weights
