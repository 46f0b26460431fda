"""Alignment of the heads against the published program."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden
from tfcl.methods.class_incremental.classifier_alignment import (
    aligned_logits,
    mean_factors,
)


@pytest.fixture(scope="module", name="data")
def _data():
    return golden.load("memory_head/ci_heads.npz")


def test_alignment_is_the_published_one(data):
    sizes = json.loads(str(data["cfg"]))["task_sizes"]
    tasks = tf.constant(np.repeat(range(len(sizes)), sizes), tf.int32)
    logits = tf.constant(data["ca_logits"])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        aligned = aligned_logits(
            logits, tasks, len(sizes), float(data["ca_tau"])
        )
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(
                data["ca_targets"], aligned
            )
        )
    np.testing.assert_allclose(loss, data["ca_loss"], rtol=1e-12)
    gradient = tape.gradient(loss, logits)
    np.testing.assert_allclose(gradient, data["ca_grad"], atol=1e-12)


def test_means_fade_with_the_age_of_their_task_as_published(data):
    # The numbers stand in the name.
    ((current, size, wanted),) = [
        (*map(int, found.groups()), data[key])
        for key in data
        if (found := re.match(r"decay_curtask(\d+)_tasksize(\d+)_", key))
    ]
    tasks = tf.range(len(wanted)) // size
    np.testing.assert_allclose(mean_factors(tasks, current), wanted, rtol=1e-6)
