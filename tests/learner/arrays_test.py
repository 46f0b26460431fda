"""Arrays and `tf.data` sets in every usual form."""

import numpy as np
import pytest
import tensorflow as tf

from tests.learner.programs import examples
from tfcl.errors import UserError
from tfcl.learner.arrays import (
    as_grey_levels,
    class_numbers,
    image_batches,
    in_one_shape,
    labelled_images,
    shape_of,
)

IMAGES, LABELS = examples(0, 10)
SHAPE = IMAGES.shape[1:]


@pytest.mark.parametrize(
    "images",
    [
        IMAGES.astype(np.int64),
        IMAGES.astype(np.float32),
        IMAGES / 255.0,
        (IMAGES / 255.0).astype(np.float16).astype(np.float64) * 255.0,
        np.concatenate([IMAGES, np.full_like(IMAGES[..., :1], 255)], -1),
    ],
    ids=["integers", "floats", "unit", "rounded", "opacity"],
)
def test_images_in_other_numbers_are_the_same_pixels(images):
    pixels, labels = labelled_images((images, LABELS), "here", SHAPE, "stretch")
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


def test_grey_images_need_no_channel():
    grey = IMAGES[..., 0]
    pixels = as_grey_levels(grey, "here")
    assert pixels.shape == (*grey.shape, 1)
    colours = in_one_shape(pixels, SHAPE, "stretch")
    np.testing.assert_array_equal(colours, np.repeat(pixels, 3, -1))


def test_sizes_are_brought_to_one_as_served_tasks_do_it():
    large, _ = examples(0, 300, size=30)
    made = in_one_shape(large, (12, 12, 3), "stretch")
    assert made.shape == (300, 12, 12, 3) and made.dtype == np.uint8
    np.testing.assert_array_equal(
        made[290:], in_one_shape(large[290:], (12, 12, 3), "stretch")
    )


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (IMAGES - 100.0, "not standardised.*from -100"),
        (IMAGES * 2.0, "from 0 to 255, or floats"),
        (np.full(IMAGES.shape, np.nan), "values from nan"),
        (IMAGES.reshape(10, -1), r"must be \(n, height, width\)"),
        (IMAGES[..., :2], r"1, 3 or 4\). Received: shape \(10, 12, 12, 2\)"),
        (IMAGES.astype(str), "images must be numbers"),
        (IMAGES[:3], "3 images, 10 labels"),
        (IMAGES[:0], "0 images"),
    ],
)
def test_what_is_no_image_is_refused(images, said):
    with pytest.raises(UserError, match=f"here.*{said}"):
        labelled_images((images, LABELS), "here", SHAPE, "stretch")


def test_other_things_are_refused():
    with pytest.raises(UserError, match="must be .images, labels.*: ndarray"):
        labelled_images(IMAGES, "here", SHAPE, "stretch")


def _dataset(batch=None, shuffled=False):
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    if shuffled:
        dataset = dataset.shuffle(10)
    return dataset if batch is None else dataset.batch(batch)


def test_a_dataset_gives_the_same_in_any_order_and_batch():
    wanted = labelled_images(_dataset(), "here", SHAPE, "stretch")
    for dataset in (_dataset(4), _dataset(shuffled=True), _dataset(3, True)):
        found = labelled_images(dataset, "here", SHAPE, "stretch")
        for a, b in zip(found, wanted):
            np.testing.assert_array_equal(a, b)
    assert sorted(wanted[1]) == sorted(LABELS)
    for pixels, label in zip(*wanted):
        assert pixels.mean((0, 1)).argmax() == label


def test_a_dataset_of_images_of_several_sizes():
    def images():
        for size in (8, 12, 20):
            yield np.full((size, size, 3), size, np.uint8), size % 3

    spec = (
        tf.TensorSpec((None, None, 3), tf.uint8),
        tf.TensorSpec((), tf.int64),
    )
    dataset = tf.data.Dataset.from_generator(images, output_signature=spec)
    assert shape_of(dataset) is None
    pixels, labels = labelled_images(dataset, "here", SHAPE, "stretch")
    assert pixels[:, 0, 0, 0].tolist() == [8, 12, 20]
    assert labels.tolist() == [2, 0, 2]


@pytest.mark.parametrize(
    "dataset",
    [
        tf.data.Dataset.from_tensor_slices(IMAGES),
        tf.data.Dataset.from_tensor_slices((LABELS, IMAGES)),
        tf.data.Dataset.from_tensor_slices({"a": IMAGES, "b": LABELS}),
    ],
)
def test_other_elements_are_refused(dataset):
    with pytest.raises(UserError, match=r"pairs \(image, label\)"):
        labelled_images(dataset, "here", SHAPE, "stretch")


def test_a_dark_image_of_a_dataset_is_scaled_like_the_others():
    images = IMAGES.astype(np.float32)
    images[3] = 1.0
    dataset = tf.data.Dataset.from_tensor_slices((images, LABELS))
    pixels, _ = labelled_images(dataset, "here", SHAPE, "stretch")
    wanted = sorted(image.tobytes() for image in images.astype(np.uint8))
    assert [image.tobytes() for image in pixels] == wanted
    unit = tf.data.Dataset.from_tensor_slices((images / 255.0, LABELS))
    again, _ = labelled_images(unit, "here", SHAPE, "stretch")
    np.testing.assert_array_equal(again, pixels)


def test_an_empty_dataset_is_refused():
    with pytest.raises(UserError, match="has no example"):
        labelled_images(_dataset().take(0), "here", SHAPE, "stretch")


def test_the_shape_of_examples():
    assert shape_of((IMAGES, LABELS)) == SHAPE
    assert shape_of((IMAGES[..., 0], LABELS)) == (12, 12, 1)
    assert shape_of(_dataset()) == shape_of(_dataset(4)) == SHAPE
    assert shape_of("a folder") is None


@pytest.mark.parametrize(
    "labels",
    [
        [0, 2, 1],
        [[0], [2], [1]],
        [0.0, 2.0, 1.0],
        np.eye(3)[[0, 2, 1]],
        np.array(["a", "c", "b"]),
        np.array([b"a", b"c", b"b"]),
        np.array(["a", "c", "b"], object),
    ],
)
def test_labels_in_every_form(labels):
    numbers, names = class_numbers(
        [np.asarray(labels)], ["a", "b", "c"], "here"
    )
    assert numbers[0].tolist() == [0, 2, 1] and numbers[0].dtype == np.int32
    assert names == ("a", "b", "c")


def test_names_of_classes_come_from_the_data():
    texts = [np.array(["dog", "cat"]), np.array(["cat"])]
    numbers, names = class_numbers(texts, None, "here")
    assert names == ("cat", "dog") and numbers[0].tolist() == [1, 0]
    numbers, names = class_numbers([np.array([0, 2]), np.array([1])], None, "")
    assert names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("labels", "shown"), [([2, 3], "2, 3"), ([0, 10**9], "0, 1000000000")]
)
def test_numbers_that_leave_out_classes_are_refused(labels, shown):
    said = rf"0..1 for the 2 classes found.*labels {shown}\. Number the cl"
    with pytest.raises(UserError, match=said):
        class_numbers([np.array(labels)], None, "here")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0, 3], r"labels must be 0..1, one per class name. .*labels 0..3"),
        ([-1, 0], "labels -1..0"),
        ([0.5, 1.0], "must be class numbers or names"),
        (np.ones((2, 2)), "one-hot"),
        (np.array(["a", "z"]), "no class is called 'z'. The classes are a, b"),
    ],
)
def test_labels_without_a_class_are_refused(labels, said):
    with pytest.raises(UserError, match=f"here: .*{said}"):
        class_numbers([np.asarray(labels)], ["a", "b"], "here")


def test_images_to_classify_come_in_batches():
    many = np.concatenate([IMAGES] * 30)
    parts = list(image_batches(many, None))
    assert [len(part) for part in parts] == [256, 44]
    np.testing.assert_array_equal(np.concatenate(parts), many)


def test_what_is_no_array_and_names_that_come_twice_are_refused():
    unequal = [IMAGES[0], IMAGES[1][:5]]
    with pytest.raises(UserError, match="here: an array has images of one"):
        labelled_images((unequal, LABELS[:2]), "here", SHAPE, "stretch")
    assert shape_of((unequal, LABELS[:2])) is None
    with pytest.raises(UserError, match="an array each. Received: str, ndarr"):
        labelled_images(("abc", LABELS), "here", SHAPE, "stretch")
    for labels in (LABELS, np.array(["a", "b"])[LABELS]):
        with pytest.raises(UserError, match="these come twice: 'b'. Rename"):
            class_numbers([labels], ["a", "b", "b"], "here")
