"""A user's image against training batches and against Pillow."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.testing import golden
from tfcl.data.preprocessing import Preprocessing, larger
from tfcl.data.split import standardised
from tfcl.engine.resident import ResidentSplit


def _noise(*shape, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, shape).astype(np.uint8)


def _edges(*shape):
    """Black and white only: the sharpest edges there are."""
    return np.where(_noise(*shape) < 128, np.uint8(0), np.uint8(255))


def _waves(height, width, channels):
    y, x = np.mgrid[:height, :width][..., None]
    waves = np.sin(x / 5.0 + np.arange(channels)) * np.cos(y / 7.0)
    return np.rint(127.5 + 110.0 * waves).astype(np.uint8)


def _levels(image_shape, *resize):
    """Leaves grey levels as they are."""
    channels = image_shape[-1]
    # 1 / 255 in the unit of the pixels.
    return Preprocessing(
        image_shape, (0.0,) * channels, (1.0,) * channels, *resize
    )


def _pixels(image_shape, image, *resize):
    values = _levels(image_shape, *resize)(tf.constant(image[None]))[0].numpy()
    levels = np.rint(values * 255.0)
    np.testing.assert_allclose(values * 255.0, levels, atol=1e-3)
    return levels.astype(int)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("traced", [False, True])
def test_native_images_get_the_bits_of_a_training_batch(channels, traced):
    split = standardised(_noise(20, 8, 9, channels), np.zeros(20, int))
    resident = ResidentSplit(split.image_shape, np.uint8)
    resident.load(split)
    preprocessing = Preprocessing(
        split.image_shape,
        tuple(float(v) for v in split.mean[0]),
        tuple(float(v) for v in split.std[0]),
    )
    gather, serve = resident.gather, preprocessing.__call__
    if traced:
        gather, serve = tf.function(gather), tf.function(serve)
    images, *_ = gather(tf.range(20))
    served = serve(tf.constant(split.images))
    assert served.dtype == tf.float32
    np.testing.assert_array_equal(served, images)


def test_a_round_trip_through_json_keeps_every_bit():
    split = standardised(_noise(20, 8, 9, 3), np.zeros(20, int))
    one = Preprocessing((8, 9, 3), *map(tuple, (split.mean[0], split.std[0])))
    other = Preprocessing.from_json(json.loads(json.dumps(one.to_json())))
    assert other.image_shape == (8, 9, 3)
    images = tf.constant(split.images)
    np.testing.assert_array_equal(one(images), other(images))


_SIZES = [
    ((100, 75), (32, 32)),
    ((480, 640), (32, 32)),
    ((16, 16), (32, 32)),
    ((33, 47), (64, 20)),
    ((31, 31), (32, 32)),
    ((5, 3), (8, 8)),
    ((1, 1), (8, 8)),
    ((40, 32), (32, 32)),
]


@pytest.mark.parametrize(("size", "wanted"), _SIZES)
@pytest.mark.parametrize("kind", [_noise, _edges, _waves])
def test_resizing_is_pillow_s_to_one_grey_level(kind, size, wanted):
    image = kind(*size, 3)
    height, width = wanted
    pillow = Image.fromarray(image).resize((width, height), Image.BICUBIC)
    difference = np.abs(
        _pixels((*wanted, 3), image) - np.asarray(pillow).astype(int)
    )
    # Pillow's weights are whole numbers of 1 / 2^22, ours float32: a value
    # that lies half-way between two levels may go either way.
    assert difference.max() <= 1
    assert difference.mean() < 0.005


@pytest.mark.parametrize(
    ("size", "wanted", "covering"),
    [
        ((100, 75), (32, 32), (42, 32)),
        ((75, 100), (32, 32), (32, 42)),
        ((60, 60), (32, 20), (32, 32)),
        ((10, 30), (32, 32), (32, 96)),
        ((64, 40), (32, 20), (32, 20)),
        ((1, 200), (4, 4), (4, 800)),
    ],
)
def test_crops_are_the_middle_of_pillow_s(size, wanted, covering):
    image = _waves(*size, 3)
    pillow = Image.fromarray(image).resize(covering[::-1], Image.BICUBIC)
    top, left = ((c - w) // 2 for c, w in zip(covering, wanted))
    middle = np.asarray(pillow)[top : top + wanted[0], left : left + wanted[1]]
    found = _pixels((*wanted, 3), image, "crop")
    assert np.abs(found - middle.astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("name", "pillow"),
    [
        ("centre_crop", Image.BICUBIC),
        ("centre_crop_bilinear", Image.BILINEAR),
    ],
)
@pytest.mark.parametrize(
    ("size", "shorter", "offset"),
    [
        # Size after Resize(256), and where CenterCrop(224) begins.
        ((300, 400), (256, 341), (16, 58)),  # 58.5, to even
        ((500, 300), (426, 256), (101, 16)),
        ((100, 131), (256, 335), (16, 56)),  # 55.5, to even
        ((224, 224), (256, 256), (16, 16)),
        ((256, 256), (256, 256), (16, 16)),
    ],
)
def test_centre_crops_are_those_of_torchvision(
    name, pillow, size, shorter, offset
):
    image = _waves(*size, 3)
    whole = np.asarray(Image.fromarray(image).resize(shorter[::-1], pillow))
    top, left = offset
    wanted = whole[top : top + 224, left : left + 224]
    found = _pixels((224, 224, 3), image, name)
    difference = np.abs(found - wanted.astype(int))
    # A shift by one pixel makes the mean larger than 1.
    assert difference.max() <= 2 and difference.mean() < 0.3
    shifted = np.abs(found[1:] - wanted[:-1].astype(int))
    assert shifted.mean() > 1.0


@pytest.mark.parametrize(
    ("side", "wanted"), [(224, 256), (112, 128), (64, 73), (8, 9), (1, 1)]
)
def test_the_border_that_is_left_out_has_the_share_of_256_to_224(side, wanted):
    assert larger(side) == wanted


def test_tasks_banked_before_there_was_a_choice_are_stretched():
    note = _levels((4, 4, 3)).to_json()
    assert note.pop("resize") == "stretch"
    assert Preprocessing.from_json(note) == _levels((4, 4, 3))
    cropping = _levels((4, 4, 3), "crop")
    assert Preprocessing.from_json(cropping.to_json()) == cropping


@pytest.mark.parametrize(("size", "wanted"), _SIZES[:4])
def test_grey_images_are_resized_like_pillow_s(size, wanted):
    image = _edges(*size, 1)
    pillow = Image.fromarray(image[..., 0]).resize(wanted[::-1], Image.BICUBIC)
    difference = _pixels((*wanted, 1), image)[..., 0] - np.asarray(pillow)
    assert np.abs(difference).max() <= 1


def test_an_image_of_the_right_size_is_not_resampled():
    image = _noise(8, 9, 3)
    np.testing.assert_array_equal(_pixels((8, 9, 3), image), image)


def test_grey_becomes_three_equal_channels():
    image = _noise(8, 9, 1)
    found = _pixels((8, 9, 3), image)
    np.testing.assert_array_equal(found, np.repeat(image, 3, axis=-1))


def test_colours_become_pillow_s_grey():
    image = _noise(120, 100, 3)
    pillow = np.asarray(Image.fromarray(image).convert("L"))
    found = _pixels((120, 100, 1), image)
    np.testing.assert_array_equal(found[..., 0], pillow)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("colours", [1, 3])
def test_opacity_is_dropped(channels, colours):
    image = _noise(8, 9, colours + 1)
    np.testing.assert_array_equal(
        _pixels((8, 9, channels), image),
        _pixels((8, 9, channels), image[..., :colours]),
    )


@pytest.mark.parametrize("static", [False, True], ids=["open", "known"])
@pytest.mark.parametrize("received", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_one_trace_takes_images_of_any_size(channels, received, static):
    preprocessing = _levels((8, 9, channels))
    shape = (None, None, None, received if static else None)
    traced = tf.function(
        preprocessing.__call__, input_signature=[tf.TensorSpec(shape, tf.uint8)]
    )
    assert traced.get_concrete_function().output_shapes.as_list() == [
        None,
        8,
        9,
        channels,
    ]
    for size in ((8, 9), (20, 11), (3, 30)):
        images = tf.constant(_noise(2, *size, received))
        np.testing.assert_array_equal(traced(images), preprocessing(images))


def test_images_of_a_batch_do_not_touch_each_other():
    images = _noise(3, 20, 11, 3)
    together = _levels((8, 9, 3))(tf.constant(images)).numpy()
    for image, result in zip(images, together):
        alone = _levels((8, 9, 3))(tf.constant(image[None]))[0]
        np.testing.assert_array_equal(result, alone)


@pytest.mark.parametrize(
    "image, resized", [("image", "resized"), ("image_small", "resized_up")]
)
def test_bilinear_images_are_those_of_the_published_clr(image, resized):
    data = golden.load("clr/preprocess.npz")
    wanted = data[resized]
    found = _pixels(wanted.shape, data[image], "bilinear")
    difference = np.abs(found - wanted)
    # Pillow calculates in whole numbers: halves may go the other way.
    assert difference.max() <= 1.0 + 1e-3
    assert (difference > 0.5).mean() < 0.005
    mean, std = _statistics(data["resized"] / 255.0, data["normalised"])
    rule = Preprocessing(wanted.shape, mean, std, "bilinear")
    if resized == "resized":
        normalised = rule(tf.constant(data[image][None]))[0]
        away = np.abs(normalised - data["normalised"])
        assert away.max() <= 1.01 / 255.0 / min(std)
        assert np.median(away) < 1e-5


def _statistics(images, normalised):
    """Mean and deviation by channel: normalised = (image - mean) / std."""
    pairs = zip(np.moveaxis(images, -1, 0), np.moveaxis(normalised, -1, 0))
    lines = [np.polyfit(a.ravel(), b.ravel(), 1) for a, b in pairs]
    return zip(*((-shift / slope, 1 / slope) for slope, shift in lines))
