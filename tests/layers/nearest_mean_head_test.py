"""Distances to means, and the plain layers that give them."""

import keras
import numpy as np

from tfcl.layers.nearest_mean_head import NearestMeanHead
from tfcl.layers.task_head import TaskHead

_DRAW = np.random.default_rng(0)
_FEATURES = _DRAW.normal(size=(5, 8)).astype(np.float32)


def _head(**kwargs):
    head = NearestMeanHead(
        4, hidden_units=(6,), bias_initializer="ones", name="head", **kwargs
    )
    head.build((None, 8))
    head.means.assign(_DRAW.normal(size=(6, 4)))
    head.use_columns([0, 1, 2])
    return head


def test_logits_are_minus_squared_distances():
    head = _head()
    hidden = np.asarray(head.hidden(_FEATURES))
    lengths = np.linalg.norm(hidden, axis=1, keepdims=True)
    hidden = hidden / np.maximum(lengths, 1e-12)
    assert lengths.min() > 0
    distances = hidden[:, :, None] - head.means.numpy()[None]
    wanted = -np.square(distances).sum(1)
    found = np.asarray(head(_FEATURES))
    np.testing.assert_allclose(found[:, :3], wanted[:, :3], atol=1e-5)
    assert (found[:, 3] == -1e9).all()


def test_plain_layers_answer_the_same():
    head = _head()
    outputs = inputs = keras.Input((8,))
    for layer, weights in head.lower():
        outputs = layer(outputs)
        layer.set_weights(weights)
    found = keras.Model(inputs, outputs).predict(_FEATURES, verbose=0)
    wanted = np.asarray(head(_FEATURES))[:, :3]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_it_is_made_of_the_configuration_of_a_task_head():
    plain = TaskHead(4, hidden_units=(6,), kernel_initializer="he_normal")
    head = NearestMeanHead.from_config(plain.get_config())
    assert head.hidden_units == (6,)
    head.build((None, 8))
    names = [name for name, _, _ in head.owned_variables()]
    assert names == [
        *("kernel_0", "kernel_1", "bias_0", "bias_1", "means", "columns")
    ]
    again = NearestMeanHead.from_config(head.get_config())
    assert again.get_config() == head.get_config()
    assert [v.name for v in head.trainable_variables] == names[:1] + [
        *("bias_0", "kernel_1", "bias_1")
    ]


def test_mixed_precision_answers_in_float32():
    head = NearestMeanHead(3, dtype="mixed_bfloat16")
    assert keras.ops.dtype(head(_FEATURES)) == "float32"
