"""Transfer mechanisms of a convolution against the published program."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden
from tests.testing.layers import run_layer_test
from tfcl.layers.transfer.deconv_kernel import DeconvKernel
from tfcl.layers.transfer.hard_kernel import HardKernel
from tfcl.layers.transfer.transfer_conv2d import TransferConv2D
from tfcl.layers.transfer.tucker_kernel import TuckerKernel

# Single layers in float32, as the golden files' own check suggests.
_CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def _filled(generator, kernel_shape, values):
    """A built generator with `values`, shared variables first."""
    generator.build(kernel_shape)
    variables = generator.shared_variables + generator.task_variables
    assert len(variables) == len(values)
    for variable, value in zip(variables, values):
        variable.assign(np.reshape(value, variable.shape))
    return generator


def _tucker(data):
    names = ("KB", "U1", "U2", "U3", "U4", "b")
    return _filled(
        TuckerKernel(), data["W"].shape, [data[name] for name in names]
    )


def _deconv(data, activation=None):
    base, filters = data["KB"].shape, data["Wd"].shape
    generator = DeconvKernel(
        base[1], base[3], filters[0], filters[2], activation=activation
    )
    names = ("KB", "Wd", "bd", "K", "b")
    return _filled(generator, data["W"].shape, [data[name] for name in names])


def _layer(data, generator):
    kernel = data["W"].shape
    layer = TransferConv2D(
        kernel[-1],
        kernel[:2],
        generator,
        padding="same",
        activation="relu",
    )
    layer.build(data["x"].shape)
    return layer


def _output(data, generator):
    hidden = _layer(data, generator)(data["x"])
    pool = int(data["pool"])
    return keras.layers.MaxPooling2D(pool, padding="same")(hidden)


@pytest.mark.parametrize(
    ("name", "make"),
    [("tf_layer", _tucker), ("dfcnn_layer", _deconv)],
)
def test_kernel_and_output_are_the_published_ones(name, make):
    data = golden.load(f"lasem/{name}.npz")
    generator = make(data)
    np.testing.assert_allclose(generator.pair()[0], data["W"], **_CLOSE)
    np.testing.assert_allclose(_output(data, generator), data["out"], **_CLOSE)


def test_tucker_penalty_is_the_norm_of_each_factor_and_not_its_square():
    data = golden.load("lasem/tf_layer.npz")
    generator = _tucker(data)
    np.testing.assert_allclose(
        generator.penalties(), data["aux_per_factor"], **_CLOSE
    )


def test_tucker_gradients_are_the_published_ones():
    data = golden.load("lasem/tf_layer.npz")
    generator = _tucker(data)
    task = generator.task_variables
    with tf.GradientTape(persistent=True) as tape:
        output = tf.convert_to_tensor(_output(data, generator))
        loss = tf.reduce_mean(output * data["R"])
        total = loss + float(data["aux_weight"]) * generator.penalty()
    np.testing.assert_allclose(loss, data["surrogate_loss"], **_CLOSE)
    core = tape.gradient(loss, generator.core.value)
    np.testing.assert_allclose(core, data["grad_KB"], **_CLOSE)
    found = tape.gradient(total, [v.value for v in task])
    for gradient, name in zip(found, ("U1", "U2", "U3", "U4", "b")):
        np.testing.assert_allclose(
            gradient, data[f"grad_{name}"], **_CLOSE, err_msg=name
        )


def test_an_orthogonal_factor_has_penalty_and_gradient_zero():
    generator = TuckerKernel()
    generator.build((2, 2, 3, 3))
    for factor in generator.factors:
        factor.assign(np.eye(factor.shape[0]))
    values = [factor.value for factor in generator.factors]
    with tf.GradientTape() as tape:
        penalty = generator.penalty()
    assert float(penalty) == 0.0
    for gradient in tape.gradient(penalty, values):
        np.testing.assert_array_equal(gradient, np.zeros_like(gradient))


def test_deconvolution_and_its_gradients_are_the_published_ones():
    data = golden.load("lasem/dfcnn_layer.npz")
    generator = _deconv(data)
    np.testing.assert_allclose(
        generator.deconvolved(), data["deconv"], **_CLOSE
    )
    variables = generator.shared_variables + generator.task_variables
    with tf.GradientTape() as tape:
        output = tf.convert_to_tensor(_output(data, generator))
        loss = tf.reduce_mean(output * data["R"])
    found = tape.gradient(loss, [v.value for v in variables])
    for gradient, name in zip(found, ("KB", "Wd", "bd", "K", "b")):
        np.testing.assert_allclose(
            np.reshape(gradient, data[f"grad_{name}"].shape),
            data[f"grad_{name}"],
            **_CLOSE,
            err_msg=name,
        )


def test_relu_on_the_deconvolution_is_an_option():
    data = golden.load("lasem/dfcnn_layer.npz")
    generator = _deconv(data, activation="relu")
    np.testing.assert_allclose(generator.pair()[0], data["W_relu"], **_CLOSE)
    np.testing.assert_allclose(
        _output(data, generator), data["out_relu"], **_CLOSE
    )


@pytest.mark.parametrize(
    ("variant", "contractions"), [("direct", ()), ("tc2", ("P", "Q"))]
)
def test_the_other_variants_are_the_published_ones(variant, contractions):
    data = golden.load("lasem/dfcnn_variants.npz")
    part = {
        key.removeprefix(f"{variant}_"): value
        for key, value in data.items()
        if key.startswith(variant)
    }
    base, filters = part["KB"].shape, part["Wd"].shape
    generator = DeconvKernel(
        base[1],
        base[3],
        filters[0],
        filters[2],
        base_depth=base[0],
        variant=variant,
    )
    names = ("KB", "Wd", "bd", *contractions, "b")
    generator = _filled(
        generator, part["W"].shape, [part[name] for name in names]
    )
    np.testing.assert_allclose(generator.pair()[0], part["W"], **_CLOSE)
    layer = _layer({**part, "x": data.get("x", part.get("x"))}, generator)
    images = data.get("x", part.get("x"))
    if images is None:  # the images stand in the file of the plain variant
        images = golden.load("lasem/dfcnn_layer.npz")["x"]
    np.testing.assert_allclose(layer(images), part["out"], **_CLOSE)


_GENERATORS = {
    "hard": lambda: HardKernel(),
    "tucker": lambda: TuckerKernel(),
    "tensordot": lambda: DeconvKernel(2, 4, 3, 5),
    "direct": lambda: DeconvKernel(2, 4, variant="direct"),
    "tc2": lambda: DeconvKernel(2, 4, 3, 5, base_depth=3, variant="tc2"),
}


@pytest.mark.parametrize("name", _GENERATORS)
def test_every_mechanism_is_a_keras_layer_like_any_other(name):
    run_layer_test(
        TransferConv2D,
        {
            "filters": 6,
            "kernel_size": 3,
            "generator": _GENERATORS[name](),
            "padding": "same",
        },
        (2, 6, 5, 4),
        (2, 6, 5, 6),
    )


@pytest.mark.parametrize("name", _GENERATORS)
def test_the_plain_layer_computes_the_same(name):
    layer = TransferConv2D(6, 3, _GENERATORS[name](), padding="same")
    images = np.random.default_rng(0).normal(size=(2, 6, 5, 4))
    images = images.astype(np.float32)
    wanted = layer(images)
    plain, weights = layer.lower()
    plain.build(images.shape)
    plain.set_weights(weights)
    np.testing.assert_allclose(plain(images), wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "shape", "message"),
    [
        ({"base_side": 3, "base_channels": 4}, None, "filter_channels"),
        (
            {"base_side": 2, "base_channels": 4, "variant": "tc3"},
            None,
            "variant",
        ),
        (
            {"base_side": 3, "base_channels": 4, "filter_channels": 5},
            (3, 3, 2, 2),
            "base_side",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_named(arguments, shape, message):
    with pytest.raises(ValueError, match=message):
        DeconvKernel(**arguments).build(shape)
