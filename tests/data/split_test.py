"""Splits and their standardisation against plain NumPy in float64."""

import numpy as np
import pytest

from tfcl.data.split import Split, channel_statistics, joined, standardised


def _images(count=7, shape=(5, 4, 3), seed=0, low=0, high=256):
    generator = np.random.default_rng(seed)
    return generator.integers(low, high, (count, *shape)).astype(np.uint8)


def _labels(count=7):
    return np.arange(count) % 2


def _split(**kwargs):
    settings = {
        "images": _images(),
        "labels": _labels(),
        "mean": np.zeros(3),
        "std": np.ones(3),
    }
    return Split(**{**settings, **kwargs})


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("high", [256, 40])
def test_statistics_are_numpy_s_in_float64(channels, high):
    images = _images(50, (9, 8, channels), high=high)
    mean, std = channel_statistics(images)
    pixels = images.astype(np.float64).reshape(-1, channels) / 255.0
    # Only the last rounding to float32 differs.
    np.testing.assert_allclose(mean, pixels.mean(0), rtol=1e-7)
    np.testing.assert_allclose(std, pixels.std(0), rtol=1e-6)
    assert mean.dtype == std.dtype == np.float32


def test_standardised_pixels_have_mean_0_and_deviation_1():
    split = standardised(_images(40, (8, 8, 3), low=30, high=90), _labels(40))
    pixels = split.images.astype(np.float64) * split.scale
    pixels = ((pixels - split.mean) / split.std).reshape(-1, 3)
    np.testing.assert_allclose(pixels.mean(0), 0.0, atol=1e-5)
    np.testing.assert_allclose(pixels.std(0), 1.0, atol=1e-5)


def test_statistics_do_not_depend_on_the_order_of_the_images():
    images = _images(200, (6, 6, 3))
    order = np.random.default_rng(1).permutation(200)
    for one, other in zip(
        channel_statistics(images), channel_statistics(images[order])
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("level", [0, 1, 137, 255])
def test_the_deviation_of_a_flat_channel_is_one_over_root_pixels(level):
    images = _images(4, (5, 5, 3))
    images[..., 1] = level
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(mean[1], level / 255.0, rtol=1e-6)
    assert std[1] == np.float32(1.0 / np.sqrt(4 * 5 * 5))
    assert std[0] > std[1] < std[2]


def test_another_set_may_give_the_statistics():
    train, test = _images(seed=1), _images(seed=2, high=40)
    split = standardised(test, _labels(), train)
    mean, std = channel_statistics(train)
    np.testing.assert_array_equal(split.mean, mean[None])
    np.testing.assert_array_equal(split.std, std[None])
    assert (standardised(test, _labels()).mean != split.mean).all()


def test_statistics_of_nothing_are_refused():
    with pytest.raises(ValueError, match="at least one image"):
        channel_statistics(_images(0))


def test_a_split_keeps_its_pixels_as_they_are():
    images = _images()
    split = _split(images=images)
    assert split.images is images
    assert split.scale == 1.0 / 255.0
    assert split.labels.dtype == split.groups.dtype == np.int32
    assert not split.groups.any()
    assert (len(split), split.image_shape) == (7, (5, 4, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": _images()[0]}, "`images` must have shape.*5, 4, 3"),
        ({"images": _images().astype(np.int64)}, "uint8 or float32.*int64"),
        ({"labels": _labels(6)}, r"one label per image.*\(6,\).*7"),
        ({"labels": _labels()[:, None]}, "one label per image"),
        ({"mean": np.zeros(2)}, "`mean`.*there are 3"),
        ({"std": np.ones((0, 3))}, "`std`"),
        ({"std": np.ones((2, 3))}, r"one shape.*\(1, 3\).*\(2, 3\)"),
        ({"std": np.array([1.0, 0.0, 1.0])}, "`std` must be positive.*0.0"),
        ({"std": np.array([1.0, np.nan, 1.0])}, "`std` must be positive"),
        ({"groups": np.ones(7)}, r"`groups`.*0\.\.0.*values \[1"),
        ({"groups": np.zeros(6)}, r"`groups`.*\(6,\)"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        _split(**change)


def test_the_digest_sees_every_pixel_label_and_constant():
    digest = _split().digest()
    assert _split().digest() == digest
    images, labels = _images(), _labels()
    images[3, 2, 1, 0] ^= 1
    labels[0] = 1
    changes = [
        {"images": images},
        {"labels": labels},
        {"mean": np.array([0.0, 0.0, 1e-6])},
        {"std": np.array([1.0, 1.0, 2.0])},
        {"images": _images().reshape(7, 4, 5, 3)},
    ]
    digests = {_split(**change).digest() for change in changes}
    assert len(digests) == len(changes)
    assert digest not in digests


def test_joined_splits_keep_their_own_standardisation():
    splits = [
        standardised(_images(count, high=50 * count), _labels(count))
        for count in (3, 2, 4)
    ]
    whole = joined(splits, (0, 2, 4))
    assert whole.labels.tolist() == [0, 1, 0, 2, 3, 4, 5, 4, 5]
    assert whole.groups.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]
    start = 0
    for group, split in enumerate(splits):
        part = slice(start, start + len(split))
        np.testing.assert_array_equal(whole.images[part], split.images)
        np.testing.assert_array_equal(whole.mean[group], split.mean[0])
        np.testing.assert_array_equal(whole.std[group], split.std[0])
        start += len(split)
    assert whole.scale == splits[0].scale
