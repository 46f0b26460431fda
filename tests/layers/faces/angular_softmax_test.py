"""Angular softmax against the published program."""

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden
from tests.testing.layers import run_layer_test
from tfcl.layers.faces.angular_softmax import (
    AngularSoftmax,
    angular_softmax_loss,
    plain_weight,
)


@pytest.fixture(scope="module", name="data")
def _data():
    return golden.load("cpg/asoftmax.npz")


def _layer(kernel, **kwargs):
    layer = AngularSoftmax(kernel.shape[1], **kwargs)
    layer.build((None, kernel.shape[0]))
    layer.kernel.assign(kernel)
    return layer


def test_is_a_proper_layer():
    run_layer_test(
        AngularSoftmax,
        {"classes": 5},
        input_shape=(3, 8),
        expected_output_shape=(3, 2, 5),
        expected_mixed_dtype="float32",
    )


def test_both_outputs_are_the_published_ones(data):
    outputs = _layer(data["w"], dtype="float64")(data["x"])
    np.testing.assert_allclose(outputs[:, 0], data["cos"], rtol=1e-12)
    np.testing.assert_allclose(outputs[:, 1], data["phi"], rtol=1e-12)
    # Both signs and several sectors occur.
    assert (data["phi"] < -data["cos"].max()).any()


@pytest.mark.parametrize(
    # The stored gradients are backward passes in float64; float32 sums.
    ("dtype", "rtol"),
    [("float64", 1e-10), ("float32", 1e-4)],
)
def test_loss_and_gradients_are_the_published_ones(data, dtype, rtol):
    layer = _layer(data["w"], dtype=dtype)
    inputs = tf.constant(data["x"], dtype)
    for j, step in enumerate(data["its"]):
        weight = plain_weight(int(step))
        np.testing.assert_allclose(weight, data[f"lambda{j}"], rtol=1e-14)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            losses = angular_softmax_loss(data["y"], layer(inputs), weight)
            loss = tf.reduce_mean(losses)
        np.testing.assert_allclose(loss, data[f"loss{j}"], rtol=rtol)
        dx, dw = tape.gradient(loss, [inputs, layer.kernel.value])
        np.testing.assert_allclose(dx, data[f"dx{j}"], rtol=rtol, atol=rtol)
        np.testing.assert_allclose(dw, data[f"dw{j}"], rtol=rtol, atol=rtol)


@pytest.mark.parametrize("margin", [1, 2, 3, 4, 5])
def test_psi_falls_over_the_whole_half_circle(margin):
    angles = np.linspace(0.0, np.pi - 1e-3, 400)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    layer = _layer(np.array([[1.0], [0.0]]), margin=margin, dtype="float64")
    psi = layer(3.0 * rays)[:, 1, 0].numpy() / 3.0
    assert (np.diff(psi) < 0).all()
    assert psi[0] == pytest.approx(1.0)
    k = np.floor(margin * angles / np.pi)
    np.testing.assert_allclose(
        psi, (-1) ** k * np.cos(margin * angles) - 2 * k, atol=1e-6
    )


def test_gradients_stay_finite_where_angles_end():
    kernel = np.array([[1.0, -1.0], [0.0, 0.0]], np.float32)
    layer = _layer(kernel)
    inputs = tf.constant([[2.0, 0.0], [-1e-3, 0.0], [0.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
        loss = tf.reduce_sum(angular_softmax_loss([0, 0, 1], outputs, 5.0))
    gradients = tape.gradient(loss, [inputs, layer.kernel.value])
    for value in (outputs, *gradients):
        assert np.isfinite(value.numpy()).all()


def test_the_plain_weight_falls_to_its_least():
    found = [float(plain_weight(step)) for step in (1, 100, 10_000)]
    np.testing.assert_allclose(found, [1500 / 1.1, 1500 / 11, 5.0])


@pytest.mark.parametrize("bad", [{"classes": 0}, {"margin": 2.5}])
def test_refuses_arguments_out_of_range(bad):
    with pytest.raises(ValueError, match=f"`{next(iter(bad))}`.*Received"):
        AngularSoftmax(**{"classes": 3, **bad})
