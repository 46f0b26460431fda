"""Random parts of whole images, for training alone."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfcl.data.lazy_images import concatenated
from tfcl.data.random_areas import AREA_DRAWS, area_lengths
from tfcl.data.sources.labelled_images import LabelledImages
from tfcl.data.sources.record_files import EncodedInMemory
from tfcl.data.training_crops import (
    RandomAreaCrop,
    RandomPlaceCrop,
    cropped_images,
    example_seeds,
)

_SHAPE = (14, 14, 3)
_FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def waves(height, width):
    y, x = np.mgrid[:height, :width][..., None]
    values = np.sin(x / 5.0 + np.arange(3)) * np.cos(y / 7.0)
    return np.rint(127.5 + 110.0 * values).astype(np.uint8)


def source_of(images, resize="centre_crop", shape=_SHAPE):
    """The images as PNG files, in their own sizes."""
    encoded = np.empty(len(images), object)
    for place, image in enumerate(images):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        encoded[place] = file.getvalue()
    return LabelledImages(
        EncodedInMemory(encoded),
        np.zeros(len(images)),
        ("a",),
        shape,
        None,
        "A made-up set",
        stored_channels=3,
        resize=resize,
    )


def seeds(count, seed=(3, 4)):
    return example_seeds(np.int32(seed), np.arange(count))


def uniform(count, seed):
    return tf.random.stateless_uniform([count], seed, alg="philox").numpy()


def starts(spare, drawn):
    return np.minimum((drawn * (np.int32(spare) + 1)).astype(int), spare)


# What they cut


@pytest.mark.parametrize("interpolation", _FILTERS)
@pytest.mark.parametrize(
    ("shorter_side", "resized"), [(None, (40, 53)), (16, (16, 21))]
)
def test_areas_are_resized_as_torchvision_does(
    interpolation, shorter_side, resized
):
    image = waves(40, 53)
    crop = RandomAreaCrop((0.2, 0.9), (0.5, 2.0), interpolation, shorter_side)
    whole = Image.fromarray(image)
    if shorter_side:
        whole = whole.resize(resized[::-1], _FILTERS[interpolation])
    sizes = set()
    found = source_of([image]).parts(np.zeros(12, int), crop, seeds(12))
    for part, seed in zip(found, seeds(12)):
        drawn = uniform(AREA_DRAWS + 2, seed)
        height, width = area_lengths(
            drawn[None, :AREA_DRAWS], resized, (0.2, 0.9), (0.5, 2.0)
        ).numpy()[0]
        spare = np.int32(resized) - (height, width)
        top, left = starts(spare, drawn[AREA_DRAWS:])
        box = (left, top, left + width, top + height)
        wanted = whole.crop(box).resize((14, 14), _FILTERS[interpolation])
        difference = np.abs(part.astype(int) - np.asarray(wanted))
        # Pillow's newer versions begin with the rows of tall images.
        assert difference.max() <= 2 and difference.mean() < 0.4
        sizes.add((height, width))
    assert len(sizes) > 6


def test_places_are_cut_out_of_a_square():
    image = waves(40, 53)
    crop = RandomPlaceCrop(20)
    whole = np.asarray(Image.fromarray(image).resize((20, 20), Image.BICUBIC))
    found = source_of([image]).parts(np.zeros(200, int), crop, seeds(200))
    places = set()
    for part, seed in zip(found, seeds(200)):
        top, left = starts([6, 6], uniform(2, seed))
        wanted = whole[top : top + 14, left : left + 14]
        assert np.abs(part.astype(int) - wanted).max() <= 1
        places.add((top, left))
    # Every place is drawn, those at the border too.
    assert {p[0] for p in places} == {p[1] for p in places} == set(range(7))


def test_training_sees_what_the_middle_of_an_image_lacks():
    image = np.zeros((32, 64, 3), np.uint8)
    image[:, :6] = 255  # Left of the middle square.
    images = cropped_images(source_of([image]), [0], RandomAreaCrop())
    assert not images[np.array([0])].any()
    drawn = images.drawn(np.zeros(100, int), seeds(100))
    assert 10 < (drawn.max((1, 2, 3)) > 0).sum() < 100


def test_images_of_any_size_and_channels_become_parts_of_one_shape():
    images = [waves(9, 30), waves(50, 12), waves(14, 14), waves(1, 1)]
    grey = source_of([*images, waves(5, 5)[..., 0]], shape=(14, 10, 1))
    for crop in (RandomAreaCrop(shorter_side=16), RandomPlaceCrop(15)):
        found = grey.parts(np.arange(5), crop, seeds(5))
        assert found.shape == (5, 14, 10, 1) and found.dtype == np.uint8
        assert not found[3].std() and found[0].std()


# Of what the draws depend


@pytest.mark.parametrize("crop", [RandomAreaCrop(), RandomPlaceCrop(20)])
def test_the_same_seed_draws_the_same_part_alone_or_in_a_batch(crop):
    images = cropped_images(source_of([waves(30, 40)] * 3), range(3), crop)
    rows = np.array([2, 0, 1, 1, 0, 2])
    found = images.drawn(rows, seeds(6))
    # The content is the same: all differ by what is drawn.
    assert len({image.tobytes() for image in found}) == 6
    for place in range(6):
        alone = images.drawn(rows[place : place + 1], seeds(6)[place][None])
        np.testing.assert_array_equal(alone[0], found[place])
    other = images.drawn(rows, seeds(6, (3, 5)))
    assert not np.array_equal(other, found)


def test_seeds_differ_between_the_examples_of_an_epoch_and_its_steps():
    largest = np.iinfo(np.int32).max
    found = example_seeds(np.int32([7, largest]), np.arange(5))
    assert found.dtype == np.int32 and len({tuple(s) for s in found}) == 5
    assert (found[:, 0] != 7).all()
    later = example_seeds(np.int32([7, largest]), np.arange(3, 5))
    np.testing.assert_array_equal(later, found[3:])


# As the images of a split


def two_parts():
    images = [waves(30 + k, 40) for k in range(4)]
    cropped = cropped_images(source_of(images), [3, 1], RandomAreaCrop())
    plain = source_of(images).images([0, 2])
    return cropped, plain


def test_all_but_training_sees_the_whole_image():
    cropped, _ = two_parts()
    assert cropped.shape == (2, *_SHAPE) and cropped.draws
    wanted = source_of([waves(30 + k, 40) for k in range(4)]).images([3, 1])
    np.testing.assert_array_equal(cropped[:], wanted)
    np.testing.assert_array_equal(cropped.uncached()[:], wanted)
    np.testing.assert_array_equal(cropped.taken(np.array([1]))[:], wanted[1:])


def test_images_taken_from_a_split_are_cropped_too():
    cropped, _ = two_parts()
    swapped = np.array([1, 0])
    wanted = cropped.drawn(swapped, seeds(2))
    taken = cropped.taken(swapped).drawn(np.arange(2), seeds(2))
    np.testing.assert_array_equal(taken, wanted)
    uncached = cropped.uncached().drawn(swapped, seeds(2))
    np.testing.assert_array_equal(uncached, wanted)


def test_joined_images_are_cropped_where_their_task_says_so():
    cropped, plain = two_parts()
    joined = concatenated([plain, cropped])
    rows = np.array([3, 0, 2, 1])
    found = joined.drawn(rows, seeds(4))
    np.testing.assert_array_equal(found[[1, 3]], plain)
    wanted = cropped.drawn(np.array([1, 0]), seeds(4)[[0, 2]])
    np.testing.assert_array_equal(found[[0, 2]], wanted)
    np.testing.assert_array_equal(joined[rows][[0, 2]], cropped[:][::-1])
    # Also those that a buffer has picked, in its order.
    picked = joined.taken(np.array([1, 3, 0, 2])).taken(np.array([1, 2]))
    again = picked.drawn(np.arange(2), seeds(4)[:2])
    np.testing.assert_array_equal(again, found[:2])
    assert picked.digest() != joined.digest()
    assert picked.digest() != joined.taken(np.array([0, 3])).digest()


def test_a_task_with_other_crops_is_another_task():
    source = source_of([waves(30, 40)])
    crops = (
        RandomAreaCrop(),
        RandomAreaCrop(scale=[0.5, 1.0]),
        RandomAreaCrop(interpolation="bicubic"),
        RandomPlaceCrop(20),
    )
    digests = {cropped_images(source, [0], crop).digest() for crop in crops}
    assert len(digests) == 4
    as_list = RandomAreaCrop(scale=[0.08, 1], ratio=[3 / 4, 4 / 3])
    assert cropped_images(source, [0], as_list).digest() in digests


# Errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomAreaCrop((0.0, 1.0)), r"`scale`.*scale=\(0.0"),
        (lambda: RandomAreaCrop(ratio=(2.0, 1.0)), r"`ratio`"),
        (lambda: RandomAreaCrop(interpolation="x"), r"`interpolation`"),
        (lambda: RandomAreaCrop(shorter_side=0), r"`shorter_side`.*=0"),
        (lambda: RandomPlaceCrop(0), r"`side`.*side=0"),
        (lambda: RandomPlaceCrop(9, "nearest"), r"`interpolation`"),
        (
            lambda: cropped_images(source_of([]), [], RandomPlaceCrop(13)),
            r"`side` must be at least 14, the image size.*side=13",
        ),
        (
            lambda: cropped_images(source_of([]), [], RandomAreaCrop),
            r"`train_crop` must be a crop.*with brackets",
        ),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
