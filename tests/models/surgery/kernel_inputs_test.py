"""What goes into layers: rows that a kernel maps to what comes out."""

import keras
import numpy as np
import pytest

from tfcl.models.surgery.kernel_inputs import kernel_inputs, kernel_rows

layers = keras.layers


def _images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    "options", [{}, {"strides": 2}, {"dilation_rate": 2}, {"strides": (1, 3)}]
)
def test_a_kernel_maps_the_rows_to_what_a_convolution_gives(padding, options):
    layer = layers.Conv2D(
        5, (3, 2), padding=padding, bias_initializer="ones", **options
    )
    images = _images(2, 9, 8, 4)
    wanted = layer(images)
    rows = kernel_rows(layer, images)
    kernel = layer.kernel.numpy().reshape(-1, 5)
    assert rows.shape[-1] == len(kernel) == 24
    np.testing.assert_allclose(
        rows @ kernel + 1.0, np.reshape(wanted, (-1, 5)), rtol=1e-4, atol=1e-5
    )


def test_a_dense_layer_maps_the_rows_of_any_shape():
    layer = layers.Dense(5, use_bias=False)
    inputs = _images(2, 3, 4)
    wanted = np.reshape(layer(inputs), (6, 5))
    rows = kernel_rows(layer, inputs)
    np.testing.assert_allclose(rows @ layer.kernel.numpy(), wanted, rtol=1e-5)


def test_inner_models_and_every_call_are_seen():
    twice, inside = layers.Dense(3, "relu"), layers.Dense(3, "relu")
    inner = keras.Sequential([keras.Input((3,)), inside])
    images = keras.Input((3,))
    outputs = twice(inner(twice(images)))
    model = keras.Model(images, outputs)
    x = _images(4, 3)
    (first, second), (between,) = kernel_inputs(model, [twice, inside])(x)
    np.testing.assert_array_equal(first, x)
    np.testing.assert_allclose(between, twice(x), rtol=1e-5)
    np.testing.assert_allclose(second, inside(twice(x)), rtol=1e-5)


def test_no_layer_has_no_inputs():
    model = keras.Sequential([keras.Input((3,)), layers.ReLU()])
    assert kernel_inputs(model, [])(_images(4, 3)) == []
