"""Augmentations: what they do to images, and what their draws depend on."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfcl.data.augmentation import (
    BrightnessJitter,
    Compose,
    Cutout,
    Draws,
    PadAndCrop,
    RandomFlip,
    RandomResizedCrop,
)
from tfcl.data.random_areas import AREA_DRAWS, area_lengths

_SEED = (3, 4)
_ALL = [
    RandomFlip(),
    PadAndCrop(3),
    RandomResizedCrop(),
    RandomResizedCrop(interpolation="bicubic"),
    Cutout(3),
    BrightnessJitter(),
    Compose([RandomFlip(), PadAndCrop(2), Cutout(2)]),
]


def draws_of(count, seed=_SEED, positions=None):
    positions = np.arange(count) if positions is None else positions
    return Draws(
        tf.constant(seed), tf.constant(positions, tf.int32), tf.constant(count)
    )


def noise(count, height=8, width=6, channels=3, dtype=np.uint8):
    generator = np.random.default_rng(0)
    # No 0, which would look like a border.
    pixels = generator.integers(1, 256, (count, height, width, channels))
    return pixels.astype(dtype)


def name_of(augmentation):
    return type(augmentation).__name__


# What all of them promise


@pytest.mark.parametrize("augmentation", _ALL, ids=name_of)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_shape_and_dtype_stay(augmentation, dtype):
    images = noise(5, dtype=dtype)
    found = augmentation(tf.constant(images), draws_of(5))
    assert found.dtype == dtype and found.shape == images.shape
    assert not np.array_equal(found, images)


@pytest.mark.parametrize("augmentation", _ALL, ids=name_of)
def test_draws_depend_on_the_seed_alone(augmentation):
    images = tf.constant(noise(16))
    one, again = (augmentation(images, draws_of(16)) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    other = augmentation(images, draws_of(16, seed=(3, 5)))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("augmentation", _ALL, ids=name_of)
def test_replicas_together_draw_what_one_draws(augmentation):
    images = tf.constant(noise(9))
    whole = augmentation(images, draws_of(9)).numpy()
    for replica in range(2):
        mine = np.arange(9)[replica::2]
        part = augmentation(
            tf.gather(images, mine), draws_of(9, positions=mine)
        )
        np.testing.assert_array_equal(part, whole[mine])


@pytest.mark.parametrize("augmentation", _ALL, ids=name_of)
def test_one_trace_takes_batches_of_any_size(augmentation):
    spec = tf.TensorSpec((None, 8, 6, 3), tf.uint8)

    @tf.function(input_signature=[spec, tf.TensorSpec((2,), tf.int32)])
    def traced(images, seed):
        size = tf.shape(images)[0]
        return augmentation(images, Draws(seed, tf.range(size), size))

    for count in (7, 2):
        images = tf.constant(noise(count))
        found = traced(images, tf.constant(_SEED)).numpy().astype(int)
        # Sums in another order may round a grey level the other way.
        np.testing.assert_allclose(
            found, augmentation(images, draws_of(count)), atol=1
        )


@pytest.mark.parametrize("augmentation", _ALL, ids=name_of)
def test_examples_are_changed_independently(augmentation):
    images = np.repeat(noise(1), 64, axis=0)
    found = augmentation(tf.constant(images), draws_of(64)).numpy()
    assert len({image.tobytes() for image in found}) > 1


@pytest.mark.parametrize(
    "augmentation",
    [
        RandomFlip(0.0),
        PadAndCrop(0),
        RandomResizedCrop((1.0, 1.0), (0.75, 0.75)),
        RandomResizedCrop((1.0, 1.0), (0.75, 0.75), "bicubic"),
        Cutout(0),
        BrightnessJitter(0.0),
        Compose(),
        Compose(()),
    ],
    ids=name_of,
)
def test_a_change_of_nothing_leaves_every_bit(augmentation):
    for dtype in (np.uint8, np.float32):
        images = noise(6, dtype=dtype)  # 8 x 6: width / height is 0.75.
        found = augmentation(tf.constant(images), draws_of(6))
        np.testing.assert_array_equal(found, images)


def test_draws_have_no_variables_and_differ_from_each_other():
    draws = draws_of(2000)
    first, second = draws.uniform(2).numpy(), draws.uniform(2).numpy()
    assert not np.array_equal(first, second)
    everything = np.concatenate([first, second], 1)
    assert 0 <= everything.min() and everything.max() < 1
    # 2000 draws: standard error of the mean 0.0065, of a correlation 0.022.
    np.testing.assert_allclose(everything.mean(0), 0.5, atol=0.03)
    correlation = np.corrcoef(everything.T) - np.eye(4)
    np.testing.assert_allclose(correlation, 0.0, atol=0.1)


def test_draws_are_not_those_of_dropout():
    plain = tf.random.stateless_uniform([4, 1], tf.constant(_SEED))
    assert not np.array_equal(draws_of(4).uniform(1), plain)


def test_whole_numbers_are_uniform_and_below_their_limits():
    limits = tf.tile([[5, 1]], [5000, 1])
    found = draws_of(5000).integers(limits).numpy()
    assert (found[:, 1] == 0).all()
    # 1000 of each expected, standard deviation 28.
    np.testing.assert_allclose(np.bincount(found[:, 0]), 1000, atol=120)


# Each of them


@pytest.mark.parametrize("probability", [0.25, 1.0])
def test_the_asked_share_is_mirrored(probability):
    images = noise(2000, 2, 2, 1)
    images[:, :, 1] = 0  # Told from its mirror image.
    found = RandomFlip(probability)(tf.constant(images), draws_of(2000))
    flipped = (found.numpy() == images[:, :, ::-1]).all((1, 2, 3))
    kept = (found.numpy() == images).all((1, 2, 3))
    assert (flipped ^ kept).all()
    assert flipped.mean() == pytest.approx(probability, abs=0.05)


def test_crops_of_the_padded_image_are_uniform_and_exact():
    count, padding = 2000, 1
    images = np.repeat(noise(1, 3, 4), count, axis=0)
    found = PadAndCrop(padding)(tf.constant(images), draws_of(count)).numpy()
    padded = np.pad(images[0], ((1, 1), (1, 1), (0, 0)))
    crops = [padded[y : y + 3, x : x + 4] for y in range(3) for x in range(3)]
    counts = [(found == crop).all((1, 2, 3)).sum() for crop in crops]
    assert sum(counts) == count
    # 222 of each expected, standard deviation 14.
    np.testing.assert_allclose(counts, count / 9, atol=70)


def test_the_border_is_what_the_caller_calls_black():
    images = np.ones((200, 2, 2, 2), np.float32)
    black = np.tile(np.float32([[-2.0, -3.0]]), (200, 1))
    found = PadAndCrop(2)(
        tf.constant(images), draws_of(200), tf.constant(black)
    ).numpy()
    changed = found != 1
    assert changed.any()
    assert (found[..., 0][changed[..., 0]] == -2).all()
    assert (found[..., 1][changed[..., 1]] == -3).all()


@pytest.mark.parametrize(
    ("name", "pillow"),
    [("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)],
)
def test_parts_are_magnified_as_pillow_does(name, pillow):
    # No overshoot beyond black and white, which Pillow clips between passes.
    images = noise(12, 9, 11) // 2 + 64
    crop = RandomResizedCrop((0.2, 0.6), (0.5, 2.0), name)
    found = crop(tf.constant(images), draws_of(12)).numpy()
    draws = draws_of(12)
    lengths = area_lengths(
        draws.uniform(AREA_DRAWS), (9, 11), crop.scale, crop.ratio
    )
    starts = draws.integers(tf.constant([9, 11]) - lengths + 1).numpy()
    ends = starts + lengths.numpy()
    assert (ends <= (9, 11)).all()
    for picture, image, first, last in zip(found, images, starts, ends):
        part = image[first[0] : last[0], first[1] : last[1]]
        wanted = Image.fromarray(part).resize((11, 9), pillow)
        difference = picture.astype(int) - np.asarray(wanted)
        # Pillow rounds to whole grey levels between its two passes.
        assert np.abs(difference).max() <= 2


def test_a_square_of_the_mean_colour_covers_the_centre_that_was_drawn():
    images = noise(300, 7, 5)
    found = Cutout(2)(tf.constant(images), draws_of(300)).numpy()
    covered = (found == 0).all(-1)
    np.testing.assert_array_equal(found[~covered], images[~covered])
    # 4 pixels, less where the square leaves the image.
    sizes = covered.sum((1, 2))
    assert sizes.max() == 4 and sizes.min() == 1
    # The centre of every place is drawn: the last row, the first column too.
    assert covered.any(0).all()


def grey(value, count, dtype=np.float32):
    return tf.constant(np.full((count, 2, 2, 3), value, dtype))


def test_brightness_is_a_uniform_factor_of_the_pixels():
    found = BrightnessJitter(0.4)(grey(0.5, 4000), draws_of(4000)).numpy()
    # One factor for all pixels of an image.
    assert (found == found[:, :1, :1, :1]).all()
    factor = found[:, 0, 0, 0] / 0.5
    assert 0.6 <= factor.min() < 0.61 and 1.39 < factor.max() <= 1.4
    assert factor.mean() == pytest.approx(1.0, abs=0.02)
    assert factor.var() == pytest.approx(0.8**2 / 12, rel=0.05)


def test_a_factor_of_brightness_is_never_below_zero():
    found = BrightnessJitter(1.8)(grey(0.1, 2000), draws_of(2000)).numpy()
    factor = found[:, 0, 0, 0] / 0.1
    assert 0.0 <= factor.min() < 0.01 and 2.7 < factor.max() <= 2.8


def test_brightness_stops_at_white():
    found = BrightnessJitter(0.5)(grey(0.9, 500), draws_of(500)).numpy()
    assert found.max() == 1.0 and (found == 1.0).sum() > found.size / 4
    bytes_ = BrightnessJitter(0.5)(grey(230, 500, np.uint8), draws_of(500))
    assert bytes_.numpy().max() == 255 and bytes_.numpy().min() < 120


def test_brightness_of_standardised_images_is_that_of_their_pixels():
    pixels = noise(40).astype(np.float32) / 255.0
    mean, std = np.float32([0.5, 0.4, 0.3]), np.float32([0.2, 0.3, 0.1])
    jitter = BrightnessJitter(0.6)
    wanted = (jitter(tf.constant(pixels), draws_of(40)) - mean) / std
    black = np.tile(-mean / std, (40, 1))
    white = np.tile((1 - mean) / std, (40, 1))
    found = jitter(
        tf.constant((pixels - mean) / std), draws_of(40), black, white
    )
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    plain = (pixels - mean) / std
    assert np.abs(found - plain).max() > 0.5


# Errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomFlip(1.5), r"`probability`.*probability=1.5"),
        (lambda: PadAndCrop(-1), r"`padding`.*padding=-1"),
        (lambda: BrightnessJitter(-0.1), r"`brightness`.*brightness=-0.1"),
        (lambda: Cutout(-2), r"`side`.*side=-2"),
        (lambda: RandomResizedCrop((0.0, 1.0)), r"`scale`.*scale=\(0.0"),
        (lambda: RandomResizedCrop((0.5, 1.2)), r"`scale`"),
        (lambda: RandomResizedCrop(ratio=(2.0, 1.0)), r"`ratio`"),
        (lambda: RandomResizedCrop(interpolation="x"), r"`interpolation`"),
        (lambda: Compose([1]), r"`augmentations`.*Received: 1"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
