"""The network of dense layers."""

import numpy as np
import pytest

from tfcl.models.backbones.dense_layers import dense_layers


def test_it_has_the_published_size():
    model = dense_layers((28, 28, 1))
    assert model.output_shape == (None, 400)
    count = sum(np.prod(v.shape) for v in model.trainable_weights)
    assert count == 784 * 400 + 400 + 400 * 400 + 400


def test_features_are_those_of_numpy():
    model = dense_layers((2, 3, 1), units=(4, 5))
    images = np.random.default_rng(0).normal(size=(7, 2, 3, 1))
    hidden = images.reshape(7, 6)
    for kernel, bias in zip(*[iter(model.get_weights())] * 2):
        hidden = np.maximum(hidden @ kernel + bias, 0.0)
    np.testing.assert_allclose(
        model(images.astype(np.float32)), hidden, atol=1e-5
    )


def test_a_layer_is_asked_for():
    with pytest.raises(ValueError, match="`units` must have.*units="):
        dense_layers((2, 2, 1), units=())
