"""Weighted cross-entropy against the published program."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden
from tfcl.layers.weighted_cross_entropy import (
    class_weights,
    weighted_cross_entropy,
)


@pytest.fixture(scope="module", name="data")
def _data():
    return golden.load("cpg/asoftmax.npz")


def test_class_weights_are_the_published_ones(data):
    counts = [74874, 134415, 25459, 14090, 6378, 3803, 24882]
    np.testing.assert_allclose(class_weights(counts), data["ce_weights"])


@pytest.mark.parametrize(
    ("dtype", "rtol"), [("float64", 1e-12), ("float32", 1e-5)]
)
def test_weighted_cross_entropy_is_the_published_one(data, dtype, rtol):
    logits = tf.constant(data["ce_logits"], dtype)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = weighted_cross_entropy(data["ce_y"], logits, data["ce_weights"])
    np.testing.assert_allclose(loss, data["ce_loss"], rtol=rtol)
    np.testing.assert_allclose(
        tape.gradient(loss, logits), data["ce_dlogits"], rtol=rtol, atol=1e-7
    )


def test_parts_of_replicas_add_up(data):
    weights = data["ce_weights"]
    halves = [(data["ce_y"][i::2], data["ce_logits"][i::2]) for i in range(2)]
    everyone = sum(weights[labels].sum() for labels, _ in halves)
    parts = [
        weighted_cross_entropy(
            labels, tf.constant(logits), weights, lambda _: everyone
        )
        for labels, logits in halves
    ]
    np.testing.assert_allclose(keras.ops.sum(parts), data["ce_loss"])


@pytest.mark.parametrize("counts", [[1, 0], [], [[1, 2]]])
def test_classes_without_examples_are_refused(counts):
    with pytest.raises(ValueError, match="`counts`.*Received"):
        class_weights(counts)
