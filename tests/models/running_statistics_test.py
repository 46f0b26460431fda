"""Batch norms in training that learn nothing."""

import keras
import numpy as np

from tfcl.models.running_statistics import running_statistics


def test_norms_use_and_leave_their_running_statistics():
    norm = keras.layers.BatchNormalization()
    frozen = keras.layers.BatchNormalization(trainable=False)
    inner = keras.Sequential([keras.Input((3,)), norm])
    model = keras.Sequential([keras.Input((3,)), inner, frozen])
    images = np.random.default_rng(0).normal(2.0, size=(8, 3))
    with running_statistics(model):
        found = model(images, training=True)
    np.testing.assert_allclose(found, model(images, training=False))
    assert (norm.moving_mean.numpy() == 0).all()
    assert norm.trainable and not frozen.trainable
    model(images, training=True)
    assert (norm.moving_mean.numpy() != 0).all()
