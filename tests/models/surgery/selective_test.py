"""Convolutions are found wherever they are, or refused by name."""

import keras
import numpy as np
import pytest

from tfcl.methods.lasem.brute_force import BruteForce
from tfcl.methods.lasem.darts import DARTS
from tfcl.methods.lasem.lasem import LASEM
from tfcl.methods.lasem.static_transfer import StaticTransfer
from tfcl.testing import tiny_stream, tiny_training

layers = keras.layers


def _inner():
    return keras.Sequential(
        [
            keras.Input((6, 6, 4)),
            layers.Conv2D(4, 3, padding="same", name="inner_0"),
            layers.ReLU(),
            layers.Conv2D(4, 3, name="inner_1"),
        ],
        name="inner",
    )


def _nested(image_shape):
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Conv2D(4, 3, name="outer"),
            _inner(),
            layers.GlobalAveragePooling2D(),
        ]
    )


def _only_inner(image_shape):
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Cropping2D(1),
            layers.Conv2DTranspose(4, 1, name="no_conv"),
            _inner(),
            layers.GlobalAveragePooling2D(),
        ]
    )


def _wrapped(image_shape):
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Conv2D(4, 3, name="outer"),
            layers.SpectralNormalization(
                layers.Conv2D(4, 3, name="held"), name="wrapper"
            ),
            layers.GlobalAveragePooling2D(),
        ]
    )


_NAMES = {_nested: ["outer", "inner_0", "inner_1"]}
_NAMES[_only_inner] = ["inner_0", "inner_1"]


def _set_up(make, backbone):
    method, stream = make(tiny_training(1, backbone=backbone)), tiny_stream()()
    method.setup(stream.spec(), seed=0)
    return method, stream


@pytest.mark.parametrize("backbone", [_nested, _only_inner])
@pytest.mark.parametrize("make", [DARTS, BruteForce])
def test_convolutions_of_inner_models_are_searched(make, backbone):
    method, stream = _set_up(make, backbone)
    assert [layer.name for layer in method.layers] == _NAMES[backbone]
    shared = {owned.name.split("/")[0] for owned in method.shared}
    assert shared == set(_NAMES[backbone])
    method.begin_task(stream.tasks[0])
    if make is BruteForce:
        assert len(method.configurations) == 2 ** len(method.layers)


def test_the_mixture_of_darts_reaches_inner_models():
    """Logits far apart: each layer computes with one kernel alone."""
    method, stream = _set_up(DARTS, _nested)
    method.begin_task(stream.tasks[0])
    generator = np.random.default_rng(0)
    for owned in method.shared + method.slot:
        if owned.variable.trainable and "head" not in owned.name:
            shape = tuple(owned.variable.shape)
            owned.variable.assign(generator.normal(size=shape))
    images = generator.normal(size=(3, 8, 8, 3)).astype(np.float32)
    outputs = set()
    for number in range(8):
        sharing = [bool(number >> depth & 1) for depth in range(3)]
        method.logits.assign([[0, 99] if one else [99, 0] for one in sharing])
        mixed = method.features(images, training=False)
        method.choice.select(sharing)
        wanted = method.network().backbone(images, training=False)
        np.testing.assert_allclose(mixed, wanted, rtol=1e-5, atol=1e-5)
        outputs.add(np.asarray(mixed).tobytes())
    assert len(outputs) == 8


def test_lasem_still_refuses_inner_models_by_name():
    with pytest.raises(ValueError, match="Layer 'inner' is a model"):
        _set_up(LASEM, _nested)


@pytest.mark.parametrize(
    "make",
    [DARTS, BruteForce, lambda training: StaticTransfer(training, "1")],
    ids=["darts", "brute_force", "static"],
)
def test_a_wrapped_convolution_is_refused_by_name(make):
    with pytest.raises(ValueError, match="'wrapper' .* holds .*'held'"):
        _set_up(make, _wrapped)
