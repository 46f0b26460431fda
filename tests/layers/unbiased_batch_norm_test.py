"""Batch normalisation of PyTorch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing.layers import run_layer_test
from tfcl.layers.unbiased_batch_norm import UnbiasedBatchNorm
from tfcl.testing import two_replicas

_IMAGES = np.random.default_rng(0).normal(5.0, 2.0, (6, 3, 2, 4))
_IMAGES = _IMAGES.astype(np.float32)


def _random(layer, shape=_IMAGES.shape):
    layer.build(shape)
    generator = np.random.default_rng(1)
    for variable in layer.variables:
        variable.assign(generator.uniform(0.5, 1.5, variable.shape))
    return layer


@pytest.mark.parametrize(
    ("shape", "options"),
    [((3, 4, 5, 6), {}), ((4, 6), {}), ((3, 4, 5, 6), {"axis": 1})],
)
def test_is_a_proper_layer(shape, options):
    run_layer_test(UnbiasedBatchNorm, options, shape, shape)


@pytest.mark.parametrize("axis", [-1, 1])
def test_a_step_in_training(axis):
    layer = _random(UnbiasedBatchNorm(axis=axis))
    gamma, beta, mean, variance = layer.get_weights()
    images = np.moveaxis(np.float64(_IMAGES), axis, -1).reshape(-1, len(mean))
    wanted = (images - images.mean(0)) / np.sqrt(images.var(0) + 1e-5)
    outputs = np.moveaxis(layer(_IMAGES, training=True), axis, -1)
    np.testing.assert_allclose(
        outputs.reshape(images.shape), wanted * gamma + beta, atol=1e-5
    )
    np.testing.assert_allclose(
        layer.moving_mean, 0.9 * mean + 0.1 * images.mean(0), rtol=1e-6
    )
    np.testing.assert_allclose(
        layer.moving_variance,
        0.9 * variance + 0.1 * images.var(0, ddof=1),
        rtol=1e-6,
    )


def test_serving_uses_the_running_statistics_and_lower_does_so_too():
    layer = _random(UnbiasedBatchNorm())
    gamma, beta, mean, variance = layer.get_weights()
    outputs = layer(_IMAGES)
    wanted = (_IMAGES - mean) / np.sqrt(variance + 1e-5) * gamma + beta
    np.testing.assert_allclose(outputs, wanted, rtol=1e-5, atol=1e-5)
    plain, weights = layer.lower()
    assert type(plain) is keras.layers.BatchNormalization
    plain.build(_IMAGES.shape)
    plain.set_weights(weights)
    # One operation here, several there.
    np.testing.assert_allclose(plain(_IMAGES), outputs, rtol=1e-5, atol=1e-6)


def test_one_operation_does_what_the_single_steps_do():
    fused, single = (_random(UnbiasedBatchNorm()) for _ in range(2))
    single._can_be_fused = lambda inputs, training: False
    assert fused._can_be_fused(tf.constant(_IMAGES), True)
    upstream = np.random.default_rng(5).normal(size=_IMAGES.shape)
    found = []
    for layer in (fused, single):
        x = tf.constant(_IMAGES)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(layer(x, training=True) * upstream)
        sources = [x, layer.gamma.value, layer.beta.value]
        found.append([*tape.gradient(total, sources), *layer.get_weights()])
    for one, other in zip(*found):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("shares", [(3, 3), (4, 2), (6, 0)])
def test_replicas_count_as_one_batch(shares):
    alone = _random(UnbiasedBatchNorm())
    # A large mean: what is lost in E(x^2) - E(x)^2 would show.
    images = _IMAGES + 1000.0
    wanted = alone(images, training=True)
    strategy = two_replicas()
    with strategy.scope():
        layer = _random(UnbiasedBatchNorm())

    @tf.function
    def step(inputs):
        def replica():
            mine = tf.distribute.get_replica_context().replica_id_in_sync_group
            parts = tf.split(inputs, shares)
            part = parts[0] if int(mine) == 0 else parts[1]
            return layer(part, training=True)

        return strategy.run(replica)

    outputs = np.concatenate([t.numpy() for t in step(images).values])
    np.testing.assert_allclose(outputs, wanted, atol=2e-3)
    for found, value in zip(layer.get_weights(), alone.get_weights()):
        np.testing.assert_allclose(found, value, rtol=1e-5)


def test_replicas_may_keep_statistics_of_their_own():
    strategy = two_replicas()
    with strategy.scope():
        layer = _random(UnbiasedBatchNorm(synchronized=False))
    step = tf.function(
        lambda: strategy.run(lambda: layer(_IMAGES, training=True))
    )
    outputs = step().values[0]
    alone = _random(UnbiasedBatchNorm())
    np.testing.assert_allclose(
        outputs, alone(_IMAGES, training=True), atol=1e-5
    )


def test_a_single_value_leaves_finite_statistics():
    layer = _random(UnbiasedBatchNorm(), (1, 4))
    layer(np.ones((1, 4), np.float32), training=True)
    assert np.isfinite(layer.moving_variance.numpy()).all()


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_does_not_move_the_statistics(fused, value):
    layer = _random(UnbiasedBatchNorm())
    if not fused:
        layer._can_be_fused = lambda inputs, training: False
    *_, mean, variance = layer.get_weights()
    images = _IMAGES.copy()
    images[0, 0, 0, 1] = value
    layer(images, training=True)
    for now, before in zip(layer.get_weights()[2:], (mean, variance)):
        assert np.isfinite(now).all()
        assert (now != before).tolist() == [True, False, True, True]


def test_renormalisation_is_refused():
    with pytest.raises(ValueError, match="renorm=True"):
        UnbiasedBatchNorm(renorm=True)
