"""Mechanisms of sharing: APD by published values, DF-CNN's sizes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden, running
from tfcl.methods.base import cross_entropy
from tfcl.methods.lasem.lasem import LASEM
from tfcl.methods.lasem.static_transfer import StaticTransfer
from tfcl.methods.lasem.transfers import AdditiveTransfer, DeconvTransfer
from tfcl.testing import run_method_test, runner_for, tiny_stream, tiny_training


@pytest.fixture(scope="module", name="data")
def _data():
    return golden.load("lasem/extras_gate_apd.npz")


def _published(data):
    """The published network with the published weights."""
    depth = golden.count(data, "apd_mask_{}")
    method = golden.published_network(
        data,
        "apd",
        [data[f"apd_shared_{2 * i}"] for i in range(depth)],
        lambda training: StaticTransfer(
            training, "1" * depth, AdditiveTransfer()
        ),
    )
    for i, layer in enumerate(method.layers):
        generator = layer.generator
        generator.shared_kernel.assign(data[f"apd_shared_{2 * i}"])
        generator.bias.assign(data[f"apd_shared_{2 * i + 1}"])
        generator.mask.assign(data[f"apd_mask_{i}"])
        generator.tau.assign(data[f"apd_tau_{i}"])
    return method


def test_logits_and_loss_are_the_published_ones(data):
    method = _published(data)
    logits = method.predict(tf.constant(data["x"]))
    # A whole network in float32.
    close = {"rtol": 1e-5, "atol": 5e-6}
    np.testing.assert_allclose(logits, data["apd_logits"], **close)
    loss = tf.reduce_mean(cross_entropy(data["y"], logits))
    np.testing.assert_allclose(loss, data["apd_loss"], **close)


def test_the_penalty_is_the_mean_over_layers_of_mean_tau(data):
    method = _published(data)
    depth = golden.count(data, "apd_tau_{}")
    wanted = 4e-4 * np.mean(
        [np.abs(data[f"apd_tau_{i}"]).mean() for i in range(depth)]
    )
    np.testing.assert_allclose(method.penalty(), wanted, rtol=1e-6)


def test_retention_holds_the_shared_kernel_from_the_second_task_on():
    transfer = AdditiveTransfer(sparsity=0.0, retention=100.0)
    method = StaticTransfer(tiny_training(1), "01", transfer)
    stream = tiny_stream()()
    method.setup(stream.spec(), seed=0)
    kernel = method.layers[1].generator.shared_kernel
    for task, wanted in zip(stream.tasks, (0.0, 100.0 * 0.5 * 0.25)):
        method.begin_task(task)
        kernel.assign(kernel + 0.5)
        np.testing.assert_allclose(method.penalty(), wanted, rtol=1e-4)


def test_a_search_retains_what_some_task_has_shared():
    transfer = AdditiveTransfer(sparsity=0.0, retention=1.0)
    method = LASEM(tiny_training(1), transfer)
    stream = tiny_stream()()
    method.setup(stream.spec(), seed=0)
    runner = runner_for(method, (8, 8, 3))
    running.train_task(method, runner, stream.tasks[0], 16, 1)
    method.choice.defined.assign([0.0, 1.0])
    method.begin_task(stream.tasks[1])
    found = [float(la.generator.retained) for la in method.layers]
    assert found == [0.0, 1.0]


@pytest.mark.parametrize("retention", [0.0, 1.0])
def test_apd_keeps_the_contract(tmp_path, retention):
    run_method_test(
        lambda: StaticTransfer(
            tiny_training(), "11", AdditiveTransfer(retention=retention)
        ),
        tmp_path,
        forgets=True,
    )


@pytest.mark.parametrize("name", ["sparsity", "retention"])
def test_weights_out_of_range_are_named(name):
    with pytest.raises(ValueError, match=f"`{name}`.*-1"):
        AdditiveTransfer(**{name: -1.0})


@pytest.mark.parametrize(
    ("variant", "shared"),
    [
        # A knowledge base of half the kernel's side and channels.
        ("tensordot", (1, 3, 3, 6)),
        ("direct", (1, 3, 3, 6)),
        ("tc2", (6, 3, 3, 6)),
    ],
)
def test_df_cnn_has_sizes_for_any_convolution(variant, shared):
    transfer = DeconvTransfer(variant=variant)
    conv = keras.layers.Conv2D(12, 5)
    # Whatever the depth: no table has to hold it.
    generator = transfer.generator(40, conv)
    generator.build((5, 5, 3, 12))
    assert generator.base.shape == shared
    kernel, _ = generator.pair()
    assert kernel.shape == (5, 5, 3, 12)


def test_df_cnn_takes_both_sizes_or_none():
    with pytest.raises(ValueError, match="one entry per base.*there are 1"):
        DeconvTransfer(bases=((2, 4),))
    with pytest.raises(ValueError, match="`filters`"):
        DeconvTransfer(filters=((3, 4),))
