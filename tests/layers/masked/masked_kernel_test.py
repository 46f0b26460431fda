"""Masked layers against the published ones, and what tasks see of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden
from tests.testing.layers import run_layer_test
from tfcl.layers.masked.masked_conv2d import MaskedConv2D
from tfcl.layers.masked.masked_dense import MaskedDense
from tfcl.layers.masked.masked_kernel import FIXED, NONE, SCORES, picks_of
from tfcl.models.surgery.growing_chain import unit_view

_PICKINGS = (SCORES, FIXED, NONE)
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


def _masked(layer_class, picking=SCORES, **kwargs):
    """A layer after three tasks; task 2 is active and picks some weights."""
    plain = _plain(layer_class, **kwargs)
    layer = layer_class.lift(plain, picking=picking)
    layer.build(_INPUTS[layer_class].shape)
    layer.adopt(plain)
    generator = np.random.default_rng(1)
    layer.owner.assign(generator.integers(0, 4, layer.owner.shape))
    layer.task.assign(2)
    if picking != NONE:
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
    variables = [layer.kernel.value, layer.bias.value, layer.scores.value]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(tf.pad(inputs, margins), training=True)
        loss = tf.reduce_sum(outputs * tf.cast(data["dy"], dtype))
    found = [outputs, *tape.gradient(loss, [inputs, *variables])]
    for value, key in zip(found, ("y", "dx", "dw", "db", "dpig")):
        np.testing.assert_allclose(
            value, data[key], rtol=rtol, atol=rtol, err_msg=key
        )


# Layers like any others


@pytest.mark.parametrize("picking", _PICKINGS)
@pytest.mark.parametrize(
    ("form", "shape"),
    [
        ({}, (3, 5, 4, 6)),
        ({"strides": 2, "padding": "same"}, (3, 4, 3, 6)),
        ({"groups": 2, "use_bias": False}, (3, 5, 4, 6)),
    ],
)
def test_conv_is_a_proper_layer(picking, form, shape):
    run_layer_test(
        MaskedConv2D,
        {**_CONV, **form, "picking": picking},
        input_shape=(3, 7, 6, 4),
        expected_output_shape=shape,
    )


@pytest.mark.parametrize("picking", _PICKINGS)
@pytest.mark.parametrize(
    ("inputs", "outputs"), [((3, 7), (3, 6)), ((3, 2, 7), (3, 2, 6))]
)
def test_dense_is_a_proper_layer(picking, inputs, outputs):
    run_layer_test(
        MaskedDense,
        {"units": 6, "picking": picking, "activation": "relu"},
        input_shape=inputs,
        expected_output_shape=outputs,
    )


@pytest.mark.parametrize("picking", _PICKINGS)
@pytest.mark.parametrize("layer_class", _INPUTS)
@pytest.mark.parametrize("form", [{}, {"use_bias": False}])
def test_a_lifted_layer_computes_the_same_bits(layer_class, picking, form):
    plain = _plain(layer_class, activation="relu", **form)
    layer = layer_class.lift(plain, picking=picking)
    layer.build(_INPUTS[layer_class].shape)
    layer.adopt(plain)
    assert layer.name == plain.name
    wanted = np.array(plain(_INPUTS[layer_class].astype(np.float32)))
    for training in (True, False):
        np.testing.assert_array_equal(_call(layer, training=training), wanted)


# Which weights count


@pytest.mark.parametrize("picking", _PICKINGS)
@pytest.mark.parametrize("layer_class", _INPUTS)
def test_training_leaves_owners_out_and_serving_counts_them(
    layer_class, picking
):
    layer = _masked(layer_class, picking)
    kernel, owner = layer.kernel.numpy(), layer.owner.numpy()
    picks = np.ones(kernel.shape)
    if picking != NONE:
        picks = layer.scores.numpy() > 0.005
        assert 0 < picks.mean() < 1
    np.testing.assert_array_equal(
        layer.effective_kernel(training=True), kernel * picks
    )
    known = (owner >= 1) & (owner <= 2)
    np.testing.assert_array_equal(
        layer.effective_kernel(training=False), kernel * picks * known
    )


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


def test_fixed_picks_train_the_kernel_alone():
    gradients = {}
    for picking in (SCORES, FIXED):
        layer = _masked(MaskedConv2D, picking)
        variables = [layer.kernel.value, layer.scores.value]
        with tf.GradientTape() as tape:
            tape.watch(variables)
            outputs = layer(
                _INPUTS[MaskedConv2D].astype(np.float32), training=True
            )
            loss = tf.reduce_sum(outputs**2)
        gradients[picking] = tape.gradient(loss, variables)
        assert layer.scores.trainable == (picking == SCORES)
    np.testing.assert_array_equal(gradients[FIXED][0], gradients[SCORES][0])
    assert gradients[FIXED][1] is None
    assert gradients[SCORES][1].numpy().any()


def test_picking_may_change_between_traces():
    layer = _masked(MaskedDense, SCORES)
    trained = _call(layer, training=True)
    layer.picking = FIXED
    np.testing.assert_array_equal(_call(layer, training=True), trained)
    layer.picking = NONE
    kernel = layer.kernel.numpy()
    np.testing.assert_array_equal(layer.effective_kernel(training=True), kernel)


def test_threshold_and_first_score_are_options():
    layer = MaskedDense(3, threshold=0.5, initial_score=0.5)
    layer.build((None, 2))
    assert not layer.effective_kernel(training=True).numpy().any()
    layer.scores.assign(np.full((2, 3), np.nextafter(np.float32(0.5), 1)))
    np.testing.assert_array_equal(
        layer.effective_kernel(training=True), layer.kernel
    )


# What is exported and what an old task computes


@pytest.mark.parametrize("picking", _PICKINGS)
@pytest.mark.parametrize("layer_class", _INPUTS)
def test_lower_gives_the_plain_layer_of_the_active_task(layer_class, picking):
    layer = _masked(layer_class, picking, activation="relu")
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


@pytest.mark.parametrize("picking", ["both", "", None, True])
def test_an_unknown_picking_is_refused(picking):
    with pytest.raises(ValueError, match="`picking` must be.*Received"):
        MaskedDense(3, picking=picking)
    layer = MaskedDense(3)
    with pytest.raises(ValueError, match="`picking` must be.*Received"):
        layer.picking = picking


def test_scores_cannot_be_asked_of_a_layer_without_them():
    layer = _masked(MaskedDense, NONE)
    assert layer.scores is None
    with pytest.raises(ValueError, match="built without scores.*'fixed'"):
        layer.picking = FIXED
