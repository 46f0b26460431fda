"""Proximal operators and the step that follows an optimizer's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcl.optimizers.proximal import (
    shrink_groups,
    soft_threshold,
    with_proximal_step,
)
from tfcl.testing import two_replicas


def test_soft_threshold_moves_to_zero_and_stops_there():
    values = np.array([-2.0, -0.5, 0.0, 0.25, 1.0], np.float32)
    np.testing.assert_allclose(
        soft_threshold(values, 0.5), [-1.5, 0.0, 0.0, 0.0, 0.5]
    )


@pytest.mark.parametrize("shape", [(3, 4), (2, 2, 3, 4)])
def test_groups_lose_length_not_direction(shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    values[..., 2] = 0.0
    thresholds = np.array([0.5, 0.0, 0.5, 1e3], np.float32)
    found = shrink_groups(values, thresholds).numpy()
    flat, result = values.reshape(-1, 4), found.reshape(-1, 4)
    norm = np.linalg.norm(flat[:, 0])
    np.testing.assert_allclose(
        result[:, 0], flat[:, 0] * (1 - 0.5 / norm), rtol=1e-5
    )
    np.testing.assert_array_equal(result[:, 1], flat[:, 1])
    assert not result[:, 2:].any()


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_operator_follows_each_update(replicas):
    strategy = tf.distribute.get_strategy() if replicas == 1 else two_replicas()
    with strategy.scope():
        free, held = (keras.Variable([1.0, -1.0]) for _ in range(2))
        optimizer = with_proximal_step(
            keras.optimizers.SGD(0.1, momentum=0.5),
            [None, lambda value, rate: soft_threshold(value, 5.0 * rate)],
        )
        optimizer.build([free, held])

    def update():
        gradients = [tf.constant([1.0, 0.0]) / replicas for _ in range(2)]
        optimizer.apply(gradients, [free.value, held.value])

    tf.function(lambda: strategy.run(update))()
    np.testing.assert_allclose(free, [0.9, -1.0], rtol=1e-6)
    np.testing.assert_allclose(held, [0.4, -0.5], rtol=1e-5)
