"""Masked layers against the published ones, and what tasks see of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden
from tests.testing.layers import run_layer_test
from tfcl.layers.masked.masked_conv2d import MaskedConv2D
from tfcl.layers.masked.masked_dense import MaskedDense
from tfcl.layers.masked.straight_through import picks_of, straight_through
from tfcl.models.surgery.growing_chain import unit_view

_PICKS = pytest.mark.parametrize("picks", [True, False])
_CONV = {"filters": 6, "kernel_size": 3}
_INPUTS = {
    MaskedConv2D: np.random.default_rng(3).normal(size=(3, 7, 6, 4)),
    MaskedDense: np.random.default_rng(3).normal(size=(3, 12)),
}


def _plain(layer_class, **kwargs):
    """A plain layer whose weights are all different."""
    if layer_class is MaskedConv2D:
        layer = keras.layers.Conv2D(**{**_CONV, **kwargs})
    else:
        layer = keras.layers.Dense(6, **kwargs)
    layer.build(_INPUTS[layer_class].shape)
    generator = np.random.default_rng(0)
    for variable in layer.variables:
        variable.assign(generator.normal(size=variable.shape))
    return layer


def _masked(layer_class, picks=True, **kwargs):
    """A layer after three tasks; task 2 is active and picks some weights."""
    plain = _plain(layer_class, **kwargs)
    layer = layer_class.lift(plain, picks=picks)
    layer.build(_INPUTS[layer_class].shape)
    layer.adopt(plain)
    generator = np.random.default_rng(1)
    layer.owner.assign(generator.integers(0, 4, layer.owner.shape))
    layer.task.assign(2)
    if picks:
        layer.scores.assign(generator.choice([0.004, 0.006], layer.owner.shape))
    return layer


def _call(layer, **kwargs):
    inputs = _INPUTS[type(layer)].astype(np.float32)
    return np.array(layer(inputs, **kwargs))


# Forward and backward of the published layers


@pytest.mark.parametrize(
    ("name", "dtype", "rtol"),
    # Sums of up to 27 products: storage in float64, a few ulp in float32.
    [
        ("conv", "float64", 1e-10),
        ("fc", "float64", 1e-10),
        ("conv", "float32", 1e-5),
        ("fc", "float32", 1e-5),
    ],
)
def test_outputs_and_gradients_are_the_published_ones(name, dtype, rtol):
    data = golden.load("cpg/masked_layers.npz")
    data = {
        key[len(name) + 1 :]: value
        for key, value in data.items()
        if key.startswith(f"{name}/")
    }
    images = data["x"]
    if name == "conv":
        pad = int(data["pad"])
        margins = ((0, 0), (pad, pad), (pad, pad), (0, 0))
        layer = MaskedConv2D(
            data["w"].shape[-1],
            data["w"].shape[:2],
            strides=int(data["stride"]),
            dtype=dtype,
        )
    else:
        margins = ((0, 0), (0, 0))
        layer = MaskedDense(data["w"].shape[-1], dtype=dtype)
    inputs = tf.constant(images, dtype)
    layer.build(tf.pad(inputs, margins).shape)
    layer.kernel.assign(data["w"])
    layer.bias.assign(data["b"])
    scores = data["pig"]
    if dtype == "float32":
        # A score right above the threshold would be equal to it.
        scores = np.where(data["bin"] == 1, np.maximum(scores, 0.0051), scores)
    layer.scores.assign(scores)
    np.testing.assert_array_equal(picks_of(layer.scores), data["bin"] == 1)
    variables = [layer.kernel.value, layer.bias.value]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(tf.pad(inputs, margins), training=True)
        loss = tf.reduce_sum(outputs * tf.cast(data["dy"], dtype))
    images, effective, bias = tape.gradient(loss, [inputs, *variables])
    # The second task owns what is picked: there dL/dW = B(P) G is G, and it is
    # 0 elsewhere. And the first one owns all whose score may learn.
    owner = np.where(data["bin"] == 1, 2, 1).astype(np.uint8)
    own, _ = straight_through(effective, layer.kernel, owner, 2)
    everything = np.ones_like(owner)
    _, scores = straight_through(effective, layer.kernel, everything, 2)
    found = (outputs, images, own, bias, scores)
    for value, key in zip(found, ("y", "dx", "dw", "db", "dpig"), strict=True):
        np.testing.assert_allclose(
            value, data[key], rtol=rtol, atol=rtol, err_msg=key
        )


# Layers like any others


@_PICKS
@pytest.mark.parametrize(
    ("form", "shape"),
    [
        ({}, (3, 5, 4, 6)),
        ({"strides": 2, "padding": "same"}, (3, 4, 3, 6)),
        ({"groups": 2, "use_bias": False}, (3, 5, 4, 6)),
    ],
)
def test_conv_is_a_proper_layer(picks, form, shape):
    run_layer_test(
        MaskedConv2D,
        {**_CONV, **form, "picks": picks},
        input_shape=(3, 7, 6, 4),
        expected_output_shape=shape,
    )


@_PICKS
@pytest.mark.parametrize(
    ("inputs", "outputs"), [((3, 7), (3, 6)), ((3, 2, 7), (3, 2, 6))]
)
def test_dense_is_a_proper_layer(picks, inputs, outputs):
    run_layer_test(
        MaskedDense,
        {"units": 6, "picks": picks, "activation": "relu"},
        input_shape=inputs,
        expected_output_shape=outputs,
    )


@_PICKS
@pytest.mark.parametrize("layer_class", _INPUTS)
@pytest.mark.parametrize("form", [{}, {"use_bias": False}])
def test_a_lifted_layer_computes_the_same_bits(layer_class, picks, form):
    plain = _plain(layer_class, activation="relu", **form)
    layer = layer_class.lift(plain, picks=picks)
    layer.build(_INPUTS[layer_class].shape)
    layer.adopt(plain)
    assert layer.name == plain.name
    wanted = np.array(plain(_INPUTS[layer_class].astype(np.float32)))
    for training in (True, False):
        np.testing.assert_array_equal(_call(layer, training=training), wanted)


# Which weights count


@_PICKS
@pytest.mark.parametrize("layer_class", _INPUTS)
def test_training_leaves_owners_out_and_serving_counts_them(layer_class, picks):
    layer = _masked(layer_class, picks)
    kernel, owner = layer.kernel.numpy(), layer.owner.numpy()
    picked = np.ones(kernel.shape)
    if picks:
        picked = layer.scores.numpy() > 0.005
        assert 0 < picked.mean() < 1
    np.testing.assert_array_equal(
        layer.effective_kernel(training=True), kernel * picked
    )
    known = (owner >= 1) & (owner <= 2)
    np.testing.assert_array_equal(
        layer.effective_kernel(training=False), kernel * picked * known
    )


@pytest.mark.parametrize("layer_class", _INPUTS)
def test_a_first_task_may_leave_the_picks_out_of_training(layer_class):
    layer = _masked(layer_class)
    kernel = layer.kernel.numpy()
    np.testing.assert_array_equal(
        layer.effective_kernel(training=True, picks=False), kernel
    )
    outputs = _call(layer, training=True, picks=False)
    assert (outputs != _call(layer, training=True)).any()
    layer.scores.assign(np.ones(kernel.shape))
    np.testing.assert_array_equal(outputs, _call(layer, training=True))


@pytest.mark.parametrize("layer_class", _INPUTS)
def test_weights_of_later_tasks_and_free_ones_never_reach_a_task(layer_class):
    layer = _masked(layer_class)
    before = _call(layer, training=False)
    foreign = ~np.isin(layer.owner.numpy(), (1, 2))
    kernel = layer.kernel.numpy()
    kernel[foreign] = 1e6
    layer.kernel.assign(kernel)
    np.testing.assert_array_equal(_call(layer, training=False), before)
    # The same weights in training, where owners do not count.
    assert (_call(layer, training=True) != before).any()


def test_the_active_task_changes_inside_one_trace():
    layer = _masked(MaskedDense)
    traced = tf.function(lambda x: layer(x, training=False))
    inputs = tf.constant(_INPUTS[MaskedDense], tf.float32)
    outputs = []
    for task in (1, 2, 3):
        layer.task.assign(task)
        outputs.append(traced(inputs).numpy())
        np.testing.assert_allclose(outputs[-1], _call(layer), rtol=1e-5)
    assert (outputs[0] != outputs[1]).any() and (outputs[1] != outputs[2]).any()
    assert traced.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("picks", [True, False])
def test_the_gradient_of_the_effective_kernel_is_that_of_the_kernel(picks):
    layer = _masked(MaskedConv2D)
    inputs = _INPUTS[MaskedConv2D].astype(np.float32)
    effective = layer.effective_kernel(training=True, picks=picks)
    effective = tf.convert_to_tensor(effective)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(effective)
        ours = tf.reduce_sum(layer(inputs, training=True, picks=picks) ** 2)
        outputs = layer.apply_pair(inputs, effective, layer.bias)
        wanted = tf.reduce_sum(outputs**2)
    found = tape.gradient(ours, layer.kernel.value)
    np.testing.assert_array_equal(found, tape.gradient(wanted, effective))
    assert (found.numpy() != 0).all()  # Also where nothing is picked.


def test_threshold_and_first_score_are_options():
    layer = MaskedDense(3, threshold=0.5, initial_score=0.5)
    layer.build((None, 2))
    assert not layer.effective_kernel(training=True).numpy().any()
    layer.scores.assign(np.full((2, 3), np.nextafter(np.float32(0.5), 1)))
    np.testing.assert_array_equal(
        layer.effective_kernel(training=True), layer.kernel
    )


# What is exported and what an old task computes


@_PICKS
@pytest.mark.parametrize("layer_class", _INPUTS)
def test_lower_gives_the_plain_layer_of_the_active_task(layer_class, picks):
    layer = _masked(layer_class, picks, activation="relu")
    plain, weights = layer.lower()
    assert type(plain) is layer_class.plain
    inputs = _INPUTS[layer_class].astype(np.float32)
    plain.build(inputs.shape)
    plain.set_weights(weights)
    np.testing.assert_array_equal(plain(inputs), _call(layer, training=False))


def test_a_narrow_convolution_is_the_leading_block():
    layer = _masked(MaskedConv2D)
    whole = layer.served_kernel().numpy()
    block = layer.served_kernel(3, 5).numpy()
    np.testing.assert_array_equal(block, whole[:, :, :3, :5])
    np.testing.assert_array_equal(layer.served_kernel(3), whole[:, :, :3])
    np.testing.assert_array_equal(
        layer.served_kernel(outputs=5), whole[..., :5]
    )


def test_a_narrow_dense_layer_leads_at_every_position_of_the_map():
    layer = _masked(MaskedDense)
    whole = layer.served_kernel().numpy()
    np.testing.assert_array_equal(layer.served_kernel(5, 4), whole[:5, :4])
    # 12 rows are 3 positions of a map with 4 units.
    block = layer.served_kernel(2, 5, below=4).numpy()
    np.testing.assert_array_equal(
        unit_view(block, 2), unit_view(whole, 4)[:, :2, :5]
    )


@pytest.mark.parametrize(
    "block",
    [(5,), (0,), (2, 7), (2, 0), (2, 3, 5), (5, 3, 4)],
)
def test_blocks_outside_the_kernel_are_refused(block):
    layer = _masked(MaskedConv2D)
    with pytest.raises(ValueError, match="`inputs` and `outputs`.*Received"):
        layer.served_kernel(*block)


def test_blocks_of_grouped_convolutions_are_refused():
    layer = _masked(MaskedConv2D, groups=2)
    assert layer.served_kernel().shape == layer.kernel.shape
    with pytest.raises(ValueError, match="groups.*Received: groups=2"):
        layer.served_kernel(1, 3)


def test_a_layer_without_scores_picks_everything():
    layer = _masked(MaskedDense, picks=False)
    assert layer.scores is None
    np.testing.assert_array_equal(
        layer.effective_kernel(training=True), layer.kernel
    )
