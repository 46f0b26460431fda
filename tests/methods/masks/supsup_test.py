"""Supermasks: the layer, the contract, what the bank keeps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import toy_run
from tests.testing.layers import run_layer_test
from tfcl.layers.masked.supermask import threshold_of
from tfcl.layers.masked.supermask_conv2d import SupermaskConv2D
from tfcl.layers.masked.supermask_dense import SupermaskDense
from tfcl.layers.signed_constant import SignedConstant
from tfcl.methods.masks.supsup import SupSup
from tfcl.optimizers.schedules import Constant
from tfcl.testing import learned, run_method_test, tiny_training


def test_layers():
    run_layer_test(
        SupermaskDense, {"units": 5, "activation": "relu"}, (6, 7), (6, 5)
    )
    run_layer_test(
        SupermaskConv2D,
        {"filters": 4, "kernel_size": 3},
        (2, 6, 5, 3),
        (2, 4, 3, 4),
    )


def test_supsup(tmp_path):
    run_method_test(
        lambda: SupSup(tiny_training(15, 0.03)), tmp_path, forgets=False
    )


def test_kills_change_nothing(tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path, lambda: SupSup(toy_run.toy_training(epochs=1)), moments=2
    )


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 1.0])
def test_the_largest_scores_are_used(share):
    layer = SupermaskDense(40, share=share)
    layer.build((None, 50))
    scores = np.random.default_rng(0).normal(size=(50, 40))
    layer.scores.assign(scores)
    mask = layer.mask().numpy()
    assert mask.sum() == round(share * 2000)
    smallest = np.abs(scores)[mask].min()
    assert smallest >= np.abs(scores)[~mask].max(initial=0.0)


def test_equal_scores_are_in_or_out_together():
    sizes = tf.constant([0.0, 1.0, 1.0, 1.0, 2.0])
    for count, wanted in ((1, 1), (2, 1), (4, 4), (5, 5)):
        found = np.sum(sizes > threshold_of(sizes, count))
        assert found == wanted, count


def test_gradients_go_straight_through():
    layer = SupermaskDense(3, share=0.5)
    inputs = tf.random.stateless_normal((4, 6), [1, 2])
    layer(inputs)
    with tf.GradientTape() as tape:
        outputs = layer(inputs)
        loss = tf.reduce_sum(outputs**2)
    (found,) = tape.gradient(loss, layer.trainable_variables)
    upstream = tf.matmul(inputs, 2 * outputs, transpose_a=True)
    wanted = np.sign(layer.scores) * layer.kernel.numpy() * upstream
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    kernel = layer.kernel.numpy() * layer.mask().numpy()
    np.testing.assert_allclose(outputs, inputs @ kernel, atol=1e-5)


def test_start_kernels_have_one_size():
    values = np.array(SignedConstant(0.25, seed=1)((3, 3, 8, 50)))
    np.testing.assert_allclose(np.abs(values), np.sqrt(2 / (72 * 0.25)))
    assert abs(np.mean(values > 0) - 0.5) < 0.03


def test_weights_never_move_and_a_task_takes_a_bit_per_weight(tmp_path):
    runs = [
        learned(
            tmp_path,
            SupSup(tiny_training(1, schedule=Constant(0.01))),
            class_counts=counts,
        )
        for counts in ((2,), (2, 3))
    ]
    for before, after in zip(*(run.method.shared for run in runs)):
        assert before.name.endswith("/kernel")
        np.testing.assert_array_equal(before.variable, after.variable)
    for name in ("task_00", "task_01"):
        values = runs[1].bank.load(int(name[-1]), name).values
        for owned in runs[1].method.shared:
            layer = owned.name.removesuffix("/kernel")
            bits = values[f"{layer}/mask_bits"]
            assert bits.nbytes == -(-np.prod(owned.variable.shape) // 8)
        assert not any(key.endswith("/scores") for key in values)


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_a_task_that_comes_again_keeps_its_mask_and_can_learn(tmp_path, share):
    run = learned(tmp_path, SupSup(tiny_training(1), share), class_counts=(2,))
    method, task = run.method, run.stream.tasks[0]
    values = run.bank.load(0, task.name).values
    method.activate(values, 0)
    images = task.test.images.astype(np.float32)
    logits = method.predict(images).numpy()
    masks = [layer.mask().numpy() for layer in method._masked]
    method.resume_task(task, values)
    np.testing.assert_allclose(method.predict(images), logits, rtol=1e-4)
    for layer, mask in zip(method._masked, masks):
        np.testing.assert_array_equal(layer.mask(), mask)
    for layer in method._masked:
        scores = layer.scores.numpy()
        assert np.all(scores) and len(np.unique(np.abs(scores))) > 4
        assert 0.3 < np.mean(scores > 0) < 0.7


def test_what_makes_no_sense_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`share`"):
        SupSup(tiny_training(), share=0.0)
    with pytest.raises(ValueError, match="`share`"):
        SupermaskDense(3, share=1.5)

    def normed(image_shape):
        inputs = keras.Input(image_shape)
        hidden = keras.layers.Conv2D(2, 3)(inputs)
        hidden = keras.layers.BatchNormalization()(hidden)
        return keras.Model(inputs, keras.layers.Flatten()(hidden))

    with pytest.raises(ValueError, match="no weights but those"):
        learned(tmp_path, SupSup(tiny_training(backbone=normed)))
