"""The networks of the LASEM line against the sizes that were published."""

import keras
import numpy as np
import pytest

from tfcl.models.backbones.lasem_cnn import lasem_cnn

# Channels, kernel sides, pool sides, image, features, parameters.
_PUBLISHED = {
    "cifar100_4": (
        (32, 32, 64, 64),
        (3, 3, 3, 3),
        (1, 2, 1, 2),
        (32, 32, 3),
        4096,
        65_568,
    ),
    "cifar100_8": (
        (32, 32, 64, 64, 128, 128, 128, 128),
        (3,) * 8,
        (1, 2, 1, 2, 1, 2, 1, 2),
        (32, 32, 3),
        512,
        None,
    ),
    "office_home_4": (
        (64, 256, 256, 256),
        (11, 5, 3, 3),
        (3, 3, 2, 2),
        (128, 128, 3),
        4096,
        1_613_312,
    ),
    "stl10_6": (
        (32, 32, 64, 64, 128, 128),
        (3,) * 6,
        (1, 3, 1, 3, 1, 3),
        (96, 96, 3),
        2048,
        287_008,
    ),
    "mnist_2": ((32, 64), (5, 5), (2, 2), (28, 28, 1), 7 * 7 * 64, None),
}


@pytest.mark.parametrize("name", _PUBLISHED)
def test_sizes_are_the_published_ones(name):
    channels, kernels, pools, shape, features, parameters = _PUBLISHED[name]
    model = lasem_cnn(shape, channels, kernels, pools)
    assert model.output_shape == (None, features)
    if parameters is not None:
        assert model.count_params() == parameters


def test_the_default_is_the_network_for_cifar100():
    model = lasem_cnn((32, 32, 3))
    assert model.count_params() == 65_568
    assert model.output_shape == (None, 4096)


def test_layers_come_in_the_published_order():
    model = lasem_cnn((8, 8, 3), (4, 4), (3, 3), (1, 2))
    names = [layer.name for layer in model.layers[1:]]
    assert names == ["conv_0", "conv_1", "pool_1", "features"]
    pool = model.get_layer("pool_1")
    assert (pool.pool_size, pool.strides) == ((2, 2), (2, 2))
    for name in ("conv_0", "conv_1"):
        assert model.get_layer(name).activation is keras.activations.relu


def test_start_values_are_a_truncated_normal_and_a_constant():
    keras.utils.set_random_seed(0)
    model = lasem_cnn((8, 8, 3), (64,), (3,), (1,))
    kernel, bias = model.get_layer("conv_0").get_weights()
    assert np.abs(kernel).max() <= 0.1  # two deviations
    # A normal cut off there keeps 0.88 of its deviation.
    np.testing.assert_allclose(kernel.std(), 0.88 * 0.05, rtol=0.05)
    np.testing.assert_array_equal(bias, np.float32(0.2))


def test_start_values_can_be_chosen():
    model = lasem_cnn(
        (8, 8, 3), (2,), (3,), (1,), initial_stddev=1e-6, initial_bias=-1.0
    )
    kernel, bias = model.get_layer("conv_0").get_weights()
    assert 0.0 < np.abs(kernel).max() <= 2e-6
    np.testing.assert_array_equal(bias, -1.0)


@pytest.mark.parametrize(("padding", "features"), [("same", 9), ("valid", 4)])
def test_padding_holds_for_convolution_and_pool(padding, features):
    # 5 -> 5 -> 3 padded; 7 - 2 -> 5 -> 2 not.
    side = 5 if padding == "same" else 7
    model = lasem_cnn((side, side, 3), (1,), (3,), (2,), padding=padding)
    assert model.output_shape == (None, features)


@pytest.mark.parametrize(
    ("channels", "kernels", "pools"),
    [((4,), (3, 3), (1, 1)), ((4, 4), (3,), (1, 1)), ((4, 4), (3, 3), ())],
)
def test_tuples_of_different_length_are_refused(channels, kernels, pools):
    with pytest.raises(ValueError, match="one entry per layer. Received"):
        lasem_cnn((8, 8, 3), channels, kernels, pools)


# Skip connections

_SMALL = {
    "image_shape": (12, 12, 4),
    "channels": (4, 4, 4),
    "kernel_sizes": (3, 3, 3),
    "pool_sizes": (2, 3, 1),
}


def _conv(model, name, inputs):
    return model.get_layer(name)(inputs)


def _pool(side, inputs):
    return keras.layers.MaxPooling2D(side, padding="same")(inputs)


def test_the_input_is_added_after_the_activation_and_before_the_pool():
    model = lasem_cnn(**_SMALL, skips=((1, 1),))
    images = keras.random.normal((2, 12, 12, 4), seed=0)
    entering = _pool(2, _conv(model, "conv_0", images))
    leaving = _pool(3, _conv(model, "conv_1", entering) + entering)
    wanted = _conv(model, "conv_2", leaving)
    np.testing.assert_allclose(
        model(images), keras.ops.reshape(wanted, (2, -1)), atol=1e-6
    )


def test_a_longer_skip_is_pooled_as_what_it_passes():
    model = lasem_cnn(**_SMALL, skips=((0, 2),))
    images = keras.random.normal((2, 12, 12, 4), seed=0)
    hidden = _pool(2, _conv(model, "conv_0", images))
    hidden = _pool(3, _conv(model, "conv_1", hidden))
    wanted = _conv(model, "conv_2", hidden) + _pool(6, images)
    np.testing.assert_allclose(
        model(images), keras.ops.reshape(wanted, (2, -1)), atol=1e-6
    )


@pytest.mark.parametrize("side", [5, 7, 11, 13])
def test_odd_sides_fit_too(side):
    sizes = {**_SMALL, "image_shape": (side, side, 4)}
    model = lasem_cnn(**sizes, skips=((0, 1), (0, 2)))
    plain = lasem_cnn(**sizes)
    assert model.output_shape == plain.output_shape
    assert model.count_params() == plain.count_params()


def _added(model):
    return [
        tuple(map(int, layer.name.split("_")[1:]))
        for layer in model.layers
        if isinstance(layer, keras.layers.Add)
    ]


@pytest.mark.parametrize(
    ("test_type", "skips"),
    [(0, []), (1, [(1, 1)]), (2, [(3, 3)]), (3, [(1, 1), (3, 3)])],
)
def test_skip_test_types_of_the_network_for_cifar100(test_type, skips):
    assert _added(lasem_cnn((32, 32, 3), skips=test_type)) == skips


def test_the_skip_test_type_of_eight_layers():
    channels, kernels, pools, shape, *_ = _PUBLISHED["cifar100_8"]
    model = lasem_cnn(shape, channels, kernels, pools, skips=1)
    assert _added(model) == [(1, 1), (3, 3), (5, 5), (7, 7)]


@pytest.mark.parametrize(
    ("skips", "message"),
    [
        (4, "0 or 1 or 2 or 3 for 4 layers; write pairs.*skips=4"),
        (((2, 1),), r"first <= last < 4.*\(\(2, 1\),\)"),
        (((1, 4),), "first <= last < 4"),
        (((-1, 1),), "0 <= first"),
        (((1,),), r"pairs \(first, last\)"),
        (((2, 2),), r"maps \(16, 16, 32\) to maps \(16, 16, 64\).*equal"),
    ],
)
def test_skips_that_cannot_be_are_refused(skips, message):
    with pytest.raises(ValueError, match=message):
        lasem_cnn((32, 32, 3), skips=skips)


def test_without_padding_a_skip_does_not_fit():
    with pytest.raises(ValueError, match="padding='same'"):
        lasem_cnn(**_SMALL, skips=((1, 1),), padding="valid")


def test_width_multiplies_the_parameters():
    narrow, wide = (
        lasem_cnn((32, 32, 3), width=width).get_layer("conv_2").count_params()
        for width in (1.0, 4.0)
    )
    # Twice the channels on both sides; biases double.
    assert narrow == 3 * 3 * 32 * 64 + 64
    assert wide == 3 * 3 * 64 * 128 + 128
    with pytest.raises(ValueError, match="`width` must be float above 0"):
        lasem_cnn((32, 32, 3), width=0.0)
