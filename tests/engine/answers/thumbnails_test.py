"""Small images of a split, or why there are none."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.testing.running import plain_split
from tfcl.data.absent import AbsentImages
from tfcl.data.split import Split, standardised
from tfcl.engine.answers.thumbnails import LONGEST_SIDE, thumbnails
from tfcl.errors import UserError


def _pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)))


def _drawing(count, height, width, channels=3):
    """Areas of one colour each, so that a PNG is small."""
    images = np.zeros((count, height, width, channels), np.uint8)
    for number, image in enumerate(images):
        image[: height // 2] = 10 + number
        image[height // 2 :, : width // 2] = 200
    return images


def test_pixels_are_those_of_the_split_bit_for_bit():
    images = _drawing(4, 8, 10)
    found, reason = thumbnails(standardised(images, np.zeros(4)), [2, 0])
    assert list(found) == [2, 0] and reason == ""
    for row, content in found.items():
        np.testing.assert_array_equal(_pixels(content), images[row])


def test_grey_images_and_colours_between_0_and_1():
    images = _drawing(1, 6, 6, 1)
    found, _ = thumbnails(standardised(images, np.zeros(1)), [0])
    np.testing.assert_array_equal(_pixels(found[0]), images[0, ..., 0])
    shares = plain_split(images / 255.0, np.zeros(1, np.int32))
    found, _ = thumbnails(shares, [0])
    np.testing.assert_array_equal(_pixels(found[0]), images[0, ..., 0])


def test_photographs_are_small_files():
    noise = np.random.default_rng(0).integers(0, 256, (1, 300, 200, 3))
    split = standardised(noise.astype(np.uint8), np.zeros(1))
    found, _ = thumbnails(split, [0])
    assert max(_pixels(found[0]).shape) == LONGEST_SIDE
    assert _pixels(found[0]).shape == (64, 43, 3)
    assert found[0][:2] == b"\xff\xd8" and len(found[0]) < 6000
    assert thumbnails(split, [0])[0] == found  # The same bytes.


@pytest.mark.parametrize("shape", [(1, 1, 2), (1, 1, 3), (8, 8, 16)])
def test_points_and_features_are_no_images(shape):
    split = plain_split(np.zeros((2, *shape)), np.zeros(2, np.int32))
    found, reason = thumbnails(split, [0])
    assert found == {} and reason.startswith("The examples are no images: ")


@pytest.mark.parametrize("value", [-0.1, 1.5, np.nan])
def test_numbers_that_are_no_colours_are_not_shown(value):
    split = plain_split(np.full((1, 8, 8, 3), value), np.zeros(1, np.int32))
    found, reason = thumbnails(split, [0])
    assert found == {} and "not all in 0 to 1" in reason


def test_images_that_nobody_has_are_left_out():
    def fetch():
        raise UserError("gone")

    images = AbsentImages(2, (8, 8, 3), fetch)
    split = Split(images, np.zeros(2, np.int32), np.zeros(3), np.ones(3))
    assert thumbnails(split, [0]) == ({}, "The test images were not there.")


def test_without_rows_there_is_nothing_to_tell():
    split = standardised(_drawing(2, 8, 8), np.zeros(2))
    assert thumbnails(split, []) == ({}, "")
