"""Hard attention: the contract, gates, masks, compensation."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import toy_run
from tests.testing.layers import run_layer_test
from tfcl.layers.masked.hard_attention import HardAttention
from tfcl.methods.masks.hat import HAT
from tfcl.models.backbones.spg_alexnet import spg_alexnet
from tfcl.models.surgery.attended import attended
from tfcl.optimizers.plain_sgd import PlainSGD
from tfcl.optimizers.schedules import Constant
from tfcl.testing import (
    learned,
    run_method_test,
    tiny_stream,
    tiny_training,
)


def _training(epochs=8, **kwargs):
    settings = {"hidden_units": (), "dropout": 0.0, **kwargs}
    return tiny_training(epochs, **settings)


def test_layer():
    run_layer_test(HardAttention, {"scale": 3.0}, (4, 5, 3), (4, 5, 3))


def test_hat(tmp_path):
    run_method_test(
        lambda: HAT(_training(12), strength=0.1), tmp_path, forgets=True
    )


def test_kills_change_nothing(tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path, lambda: HAT(toy_run.toy_training(epochs=1)), moments=2
    )


def _set_up(**kwargs):
    backbone = functools.partial(
        spg_alexnet, channels=(3, 4, 5), hidden_units=(6, 7)
    )
    method = HAT(_training(backbone=backbone, optimizer=PlainSGD), **kwargs)
    stream = tiny_stream((2, 2), image_shape=(16, 16, 3))()
    method.setup(stream.spec(), seed=1)
    method.begin_task(stream.tasks[0])
    return method, stream


def test_weights_between_used_units_are_blocked():
    method, stream = _set_up()
    for gates in method.attention:
        values = np.where(np.arange(gates.embedding.shape[0]) % 2, -6.0, 6.0)
        gates.embedding.assign(values)
    method.end_task(stream.tasks[0])
    found = {
        o.name: p.numpy() for o, p in zip(method.shared, method.plasticity)
    }
    # Units 0, 2, ... are used, in every layer; a window has all positions.
    for name, value in found.items():
        used = np.arange(value.shape[-1]) % 2 == 0
        if name.endswith("bias") or name == "conv_0/kernel":
            wanted = np.broadcast_to(used, value.shape)
        else:
            widths = {"conv_1": 3, "conv_2": 4, "dense_0": 5, "dense_1": 6}
            below = widths[name.partition("/")[0]]
            rows = np.tile(np.arange(below) % 2 == 0, value.shape[-2] // below)
            wanted = np.broadcast_to(rows[:, None] & used, value.shape)
        np.testing.assert_allclose(value, ~wanted, atol=1e-6, err_msg=name)


def test_what_is_blocked_hardly_moves(tmp_path):
    def method():
        return HAT(
            _training(2, optimizer=PlainSGD, schedule=Constant(0.05)),
            strength=0.0,
        )

    runs = [
        learned(tmp_path, method(), class_counts=counts)
        for counts in ((2,), (2, 2))
    ]
    masks = [p.numpy() for p in runs[0].method.plasticity]
    blocked = free = 0
    for mask, before, after in zip(
        masks, runs[0].method.shared, runs[1].method.shared
    ):
        moved = np.abs(before.variable.numpy() - after.variable.numpy())
        assert moved[mask < 1e-6].max(initial=0) < 1e-6
        blocked += (mask < 1e-6).sum()
        free += (moved[mask > 0.9] > 1e-6).sum()
    assert blocked > 20 and free > 20


def test_the_gradient_of_an_embedding_is_that_of_scale_one():
    """Up to s_max: eq. 4 turns s a'(s e) into s_max a'(e)."""
    method, _ = _set_up()
    embedding = tf.constant([-2.0, -0.1, 0.0, 0.4, 1.5])
    for scale in (0.0025, 1.0, 7.0):
        with tf.GradientTape() as tape:
            tape.watch(embedding)
            gates = tf.sigmoid(scale * embedding)
        found = method._compensated(
            tape.gradient(gates, embedding), embedding, tf.constant(scale)
        )
        plain = tf.sigmoid(embedding)
        wanted = method.largest_scale * plain * (1 - plain)
        np.testing.assert_allclose(found, wanted, rtol=1e-3)


def test_the_regulariser_asks_for_unused_gates_only():
    method, _ = _set_up(strength=2.0)
    free = taken = 0.0
    for used, gates in zip(method.used, method.attention):
        draws = np.random.default_rng(0).uniform(size=used.shape)
        used.assign(draws)
        free += (1 - draws).sum()
        taken += (gates.gates().numpy() * (1 - draws)).sum()
    np.testing.assert_allclose(method.penalty(), 2 * taken / free, rtol=1e-5)
    for used in method.used:
        used.assign(np.ones(used.shape))
    assert float(method.penalty()) == 0.0


def test_other_networks_are_refused():
    inputs = keras.Input((8, 8, 3))
    hidden = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    branched = keras.layers.Add()([hidden, keras.layers.ReLU()(hidden)])
    with pytest.raises(ValueError, match="branches"):
        attended(keras.Model(inputs, branched), 400.0)
    normed = keras.layers.BatchNormalization()(hidden)
    with pytest.raises(ValueError, match="BatchNormalization.*gates cannot"):
        attended(keras.Model(inputs, normed), 400.0)


@pytest.mark.parametrize("wrong", [{"strength": -1.0}, {"largest_scale": 1.0}])
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        HAT(_training(), **wrong)


@pytest.mark.parametrize(("own", "last"), [(None, 3), (8, 7)])
def test_the_scale_rises_over_the_steps_of_the_tasks_own_batches(own, last):
    stream = tiny_stream((2,))()
    method = HAT(_training())
    method.setup(stream.spec(), seed=0)
    task = dataclasses.replace(stream.tasks[0], batch_size=own)
    next(method.phases(task))
    assert int(method._last_step.numpy()) == last
