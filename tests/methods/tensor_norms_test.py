"""Norms of tensors as a penalty, against the published program."""

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden
from tfcl.methods.tensor_norms import TensorNorms

_PENALTY = golden.load("clr/penalty.npz")


@pytest.mark.parametrize("kind", ["none", "l1", "l2"])
def test_the_published_penalties(kind):
    found = {key: tf.Variable(_PENALTY[key]) for key in "abc"}
    scale = 0.0 if kind == "none" else float(_PENALTY["lamda"])
    norms = TensorNorms(scale, "l2" if kind == "none" else kind)
    with tf.GradientTape() as tape:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            _PENALTY["t"], tf.matmul(_PENALTY["x"], found["a"])
        )
        loss = tf.reduce_mean(losses) + norms(list(found.values()))
    np.testing.assert_allclose(loss, _PENALTY[f"{kind}/loss"], rtol=1e-12)
    for key, gradient in tape.gradient(loss, found).items():
        wanted = _PENALTY[f"{kind}/grad_{key}"]
        np.testing.assert_allclose(gradient, wanted, rtol=1e-12, atol=1e-15)
