"""The convolution with adapters from other columns."""

import keras
import numpy as np
import pytest

from tfcl.layers.transfer.lateral_conv2d import LateralConv2D


def _inputs(columns, channels=3):
    rng = np.random.default_rng(0)
    return [
        rng.normal(size=(2, 5, 6, channels)).astype(np.float32)
        for _ in range(columns + 1)
    ]


@pytest.mark.parametrize("use_bias", [True, False])
def test_it_is_the_sum_of_convolutions(use_bias):
    layer = LateralConv2D(
        4,
        3,
        columns=2,
        lateral_units=2,
        padding="same",
        activation="relu",
        use_bias=use_bias,
        bias_initializer="random_normal",
    )
    own, *others = inputs = _inputs(2)
    found = layer(inputs)

    def conv(x, kernel):
        return keras.ops.conv(x, kernel, padding="same")

    wanted = conv(own, layer.kernel)
    if use_bias:
        wanted += layer.bias
    kernels = np.split(layer.lateral_kernel.numpy(), 2, axis=2)
    for j, other in enumerate(others):
        adapted = conv(
            layer.lateral_scale[j] * other,
            layer.lateral_projection[j][None, None],
        )
        adapted = keras.ops.relu(adapted + layer.lateral_bias[j])
        wanted += conv(adapted, kernels[j])
    np.testing.assert_allclose(
        found, keras.ops.relu(wanted), rtol=1e-5, atol=1e-6
    )
    assert tuple(found.shape) == layer.compute_output_shape(
        [x.shape for x in inputs]
    )


def test_it_survives_a_file(tmp_path):
    inputs = _inputs(1)
    tensors = [keras.Input(x.shape[1:]) for x in inputs]
    layer = LateralConv2D(4, 3, columns=1, lateral_units=2)
    model = keras.Model(tensors, layer(tensors))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.layers[-1].get_config() == layer.get_config()
    np.testing.assert_array_equal(again(inputs), model(inputs))


@pytest.mark.parametrize(
    "wrong",
    [
        {"columns": 0},
        {"lateral_units": 0},
        {"groups": 2},
        {"data_format": "channels_first"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_it_cannot_be_is_refused(wrong):
    settings = {"columns": 1, "lateral_units": 2, **wrong}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LateralConv2D(4, 3, **settings)
