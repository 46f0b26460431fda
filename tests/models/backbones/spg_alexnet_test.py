"""SPG's AlexNet: sizes, and logits of the published program."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden
from tests.testing.spg_weights import alexnet_weights
from tfcl.models.backbones.spg_alexnet import spg_alexnet


@pytest.mark.parametrize(
    ("image_shape", "flat", "parameters"),
    [
        ((32, 32, 3), 1024, 6_503_872),
        ((28, 28, 1), 1024, 6_460_416),
        ((64, 64, 3), 6400, 17_744_320),
        # By the rule: kernels 2, 1, 2 and maps 15, 7, 7, 3, 2, 1.
        ((16, 16, 1), 256, None),
        ((12, 40, 3), None, None),
    ],
)
def test_any_size(image_shape, flat, parameters):
    network = spg_alexnet(image_shape, 0.1, 0.2)
    assert network.output_shape == (None, 2048)
    if flat:
        assert network.get_layer("flatten").output.shape == (None, flat)
    if parameters:
        assert network.count_params() == parameters


@pytest.mark.parametrize("image_shape", [(11, 32, 3), (32, 9, 3)])
def test_too_small_images_are_refused(image_shape):
    with pytest.raises(ValueError, match="`image_shape`.*12 x 12"):
        spg_alexnet(image_shape)


def test_odd_sizes_from_the_smallest_on_work():
    for side in (12, 13, 19, 23, 40, 79, 111):
        network = spg_alexnet((side, side, 1), 0.0, 0.0, (1, 1, 1), (1,))
        assert network.output_shape == (None, 1)


def test_three_convolutions_are_asked_for():
    with pytest.raises(ValueError, match="`channels`"):
        spg_alexnet((32, 32, 3), channels=(64, 128))


@pytest.mark.parametrize("name", ["alexnet_28", "alexnet_32"])
def test_logits_and_features_are_those_of_the_program(name):
    data = golden.load(f"spg/{name}.npz")
    weights, images = alexnet_weights(data)
    network = spg_alexnet(images.shape[2:])
    network.set_weights([w for pair in weights[:5] for w in pair])
    features = network(images[0]).numpy()
    wanted = data["f32.features_first16"]
    np.testing.assert_allclose(
        features[:, : wanted.shape[1]], wanted, atol=1e-5
    )
    np.testing.assert_allclose(
        features.sum(1), data["f32.features_sum"], rtol=1e-5
    )
    for head in range(golden.count(data, "f32.logits.head{}")):
        kernel, bias = weights[5 + head]
        np.testing.assert_allclose(
            features @ kernel + bias, data[f"f32.logits.head{head}"], atol=1e-5
        )


def test_relu_behind_the_pool_is_relu_before_dropout_and_pool():
    """Same outputs to the bit, same gradients."""
    images = np.random.default_rng(0).normal(size=(5, 29, 29, 6))
    mask = np.random.default_rng(1).random(images.shape) < 0.6
    inputs = keras.ops.convert_to_tensor(images.astype(np.float32))
    mask = mask.astype(np.float32) * np.float32(1 / 0.6)

    def published(values):
        dropped = keras.ops.relu(values) * mask
        return keras.ops.max_pool(dropped, 2, 2)

    def ours(values):
        dropped = (values * mask)[:, :28, :28]
        return keras.ops.relu(keras.ops.max_pool(dropped, 2, 2))

    np.testing.assert_array_equal(published(inputs), ours(inputs))
    found = [_gradient(function, inputs) for function in (published, ours)]
    np.testing.assert_array_equal(*found)


def _gradient(function, inputs):
    weights = np.random.default_rng(2).normal(size=(5, 14, 14, 6))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = keras.ops.sum(function(inputs) * weights.astype(np.float32))
    return tape.gradient(value, inputs)
