"""One data set per task, on made-up sets under names of the catalog."""

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import image_sets
from tfcl.data.augmentation import RandomFlip
from tfcl.data.lazy_images import LazyImages
from tfcl.data.scenario import announced_to
from tfcl.data.sources.labelled_images import LabelledImages
from tfcl.data.sources.record_files import EncodedInMemory
from tfcl.data.streams.dataset_stream import dataset_stream
from tfcl.data.training_crops import (
    RandomAreaCrop,
    RandomPlaceCrop,
    example_seeds,
)
from tfcl.errors import UserError

_SETS = {
    # Training and test images.
    "flowers_cpg": image_sets.MadeUpSet(
        (9, 7, 3), ("rose", "tulip", "lily"), {"train": (12, 18, 24), "test": 5}
    ),
    "sketches": image_sets.MadeUpSet((8, 8, 3), 4, {"train": 12, "test": 6}),
    "oxford_flowers102": image_sets.MadeUpSet(
        (8, 8, 3), 3, {"train": 7, "validation": 5, "test": 4}
    ),
    # One part alone.
    "eurosat": image_sets.MadeUpSet((8, 8, 3), 2, {"train": 40}),
    # Nothing to train on.
    "lfw_pairs": image_sets.MadeUpSet((8, 8, 3), 2, {"test": 6}),
}
_TWO = ["flowers_cpg", "sketches"]


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    image_sets.replace_open_split(monkeypatch, _SETS)


def _make(datasets=_TWO, **kwargs):
    settings = {"image_size": 6, "batch_size": 4}
    return dataset_stream(list(datasets), **{**settings, **kwargs})


def _counts(task):
    return [
        np.bincount(split.labels, minlength=task.num_classes).tolist()
        for split in (task.train, task.validation, task.test)
    ]


def _keys(split):
    return {image.tobytes() for image in split.images}


def test_every_set_is_a_task_with_all_its_classes():
    stream = _make()
    assert stream.name == "datasets_2"
    spec = stream.spec()
    assert spec.task_names == ("flowers_cpg", "sketches")
    assert spec.class_names[0] == ("rose", "tulip", "lily")
    assert spec.class_counts == (3, 4)
    assert spec.image_shape == (6, 6, 3)
    # A sixth is held out.
    assert _counts(stream.tasks[0]) == [[10, 15, 20], [2, 3, 4], [5, 5, 5]]
    assert _counts(stream.tasks[1]) == [[10] * 4, [2] * 4, [6] * 4]
    for task in stream:
        assert task.train.images.dtype == np.uint8
        assert not _keys(task.train) & _keys(task.validation)
    assert [len(task.earlier) for task in stream] == [0, 1]


def test_sets_of_the_same_classes_may_be_domains(monkeypatch):
    domains = {
        f"office_home_{name}": image_sets.MadeUpSet(
            (9, 7, 3), ("mug", "pen"), {"train": count}
        )
        for name, count in (("art", 20), ("clipart", 30))
    }
    image_sets.replace_open_split(monkeypatch, _SETS | domains)
    heard = []
    with announced_to(lambda *told: heard.append(told)):
        stream = _make(list(domains), scenario="domain", test_fraction=0.2)
        assert heard == [("domain", "dataset_stream")]
        known = _make(list(domains), test_fraction=0.2)
    assert len(heard) == 1 and known.scenario == "task"
    assert stream.scenario == "domain"
    assert [task.class_names for task in stream] == [("mug", "pen")] * 2
    assert [len(task.test) for task in stream] == [8, 12]
    for task, other in zip(stream, known):
        assert task.fingerprint() == other.fingerprint()
    with pytest.raises(ValueError, match="same classes.*Leave it 'task'"):
        _make(scenario="domain")


def test_names_sizes_and_ways_to_resize_can_be_given():
    stream = _make(
        task_names=["flowers", "drawings"],
        resize=["crop", "stretch"],
        name="two",
        channels=1,
    )
    assert stream.name == "two"
    assert stream.spec().task_names == ("flowers", "drawings")
    assert stream.spec().image_shape == (6, 6, 1)
    assert [t.preprocessing.resize for t in stream] == ["crop", "stretch"]
    cropped = _make(resize="crop")
    assert [t.preprocessing.resize for t in cropped] == ["crop", "crop"]


def test_images_are_opened_as_they_are_to_be_resized(monkeypatch):
    asked = []
    made = image_sets.tfds_source.open_split

    def noting(name, split, data_dir, image_shape, resize, memory=None):
        asked.append((name, split, data_dir, image_shape, resize))
        return made(name, split, data_dir, image_shape, resize)

    monkeypatch.setattr(image_sets.tfds_source, "open_split", noting)
    _make(resize=["crop", "stretch"], data_dir="there")
    shape = (6, 6, 3)
    assert asked == [
        ("flowers_cpg", "train", "there", shape, "crop"),
        ("flowers_cpg", "test", "there", shape, "crop"),
        ("sketches", "train", "there", shape, "stretch"),
        ("sketches", "test", "there", shape, "stretch"),
    ]


def test_selection_on_the_test_images_holds_none_out():
    (task,) = _make(["sketches"], selection_split="test")
    assert _counts(task) == [[12] * 4, [6] * 4, [6] * 4]
    np.testing.assert_array_equal(task.validation.images, task.test.images)


def test_a_set_of_one_part_is_cut():
    (task,) = _make(["eurosat"], test_fraction=0.25, validation_fraction=0.1)
    assert _counts(task) == [[27, 27], [3, 3], [10, 10]]
    keys = [_keys(s) for s in (task.train, task.validation, task.test)]
    assert sum(map(len, keys)) == len(set.union(*keys)) == 80
    (task,) = _make(["eurosat"], test_fraction=0.25, selection_split="test")
    assert _counts(task) == [[30, 30], [10, 10], [10, 10]]


def test_limits_are_upper_bounds_of_each_class():
    stream = _make(train_per_class=12, validation_per_class=3, test_per_class=2)
    assert _counts(stream.tasks[0]) == [[10, 12, 12], [2, 3, 3], [2, 2, 2]]


def test_the_seed_draws_what_is_held_out():
    one, again, other = _make(), _make(), _make(data_seed=1)
    for mine, same, theirs in zip(one, again, other):
        assert mine.fingerprint() == same.fingerprint()
        assert _keys(mine.validation) != _keys(theirs.validation)
        assert _keys(mine.test) == _keys(theirs.test)


def test_fixed_statistics_hold_for_all_tasks():
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    for task in _make(statistics=[mean, std]):
        for split in (task.train, task.validation, task.test):
            np.testing.assert_allclose(split.mean, [mean], rtol=1e-6)
            np.testing.assert_allclose(split.std, [std], rtol=1e-6)
        np.testing.assert_allclose(task.preprocessing.mean, mean, rtol=1e-6)
    for task in _make(statistics=(0.5, 0.25)):
        np.testing.assert_array_equal(task.train.mean, [[0.5] * 3])
        np.testing.assert_array_equal(task.train.std, [[0.25] * 3])


def test_training_statistics_are_each_task_s_own():
    first, second = _make()
    assert not np.array_equal(first.train.mean, second.train.mean)
    np.testing.assert_array_equal(first.train.mean, first.test.mean)


def test_large_sets_stay_encoded(monkeypatch):
    large = image_sets.MadeUpSet((8, 8, 3), 2, {"train": 6, "test": 6})
    image_sets.replace_open_split(monkeypatch, {"sketches": large})
    (task,) = _make(
        ["sketches"], image_size=6000, statistics=(0.5, 0.5), batch_size=2
    )
    assert isinstance(task.train.images, LazyImages)
    assert task.train.image_shape == (6000, 6000, 3)


def test_a_set_may_bring_its_own_validation_part_in_its_own_order():
    (task,) = _make(
        ["oxford_flowers102"], selection_split="own", data_seed=None
    )
    assert _counts(task) == [[7] * 3, [5] * 3, [4] * 3]
    for split, name in (
        (task.train, "train"),
        (task.validation, "validation"),
        (task.test, "test"),
    ):
        source = image_sets.MadeUpImages(
            "oxford_flowers102", name, _SETS["oxford_flowers102"], (6, 6, 3)
        )
        order = np.argsort(source.labels, kind="stable")
        np.testing.assert_array_equal(split.images, source.images(order))
    (shuffled,) = _make(["oxford_flowers102"], selection_split="own")
    assert (shuffled.train.images != task.train.images).any()
    assert _keys(shuffled.train) == _keys(task.train)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"datasets": []}, "`datasets` must list at least one name"),
        ({"task_names": ["one"]}, "`task_names` must have one value per data"),
        ({"resize": ["crop"]}, "`resize` must have one value per data set"),
        ({"resize": "squeeze"}, "`resize` must be 'stretch', 'crop'"),
        ({"image_size": 0}, "`image_size` must be int of at least 1"),
        ({"channels": 2}, "`channels` must be 1 or 3"),
        ({"selection_split": "train"}, "`selection_split` must be 'valid"),
        ({"selection_split": "own"}, "'flowers_cpg' does not: use 'valid"),
        ({"pairs": {"sketches": "lfw_pairs"}, "data_seed": None}, "data_seed"),
        ({"validation_fraction": 1.0}, r"`validation_fraction`.*\(0, 1\)"),
        ({"test_fraction": 0.0}, r"`test_fraction`.*\(0, 1\) or None"),
        ({"test_per_class": 0}, "`test_per_class` must be int of at least 1"),
        ({"statistics": "all"}, "`statistics` must be 'train', 'split' or"),
        ({"statistics": (0.5,)}, r"a pair \(mean, std\)"),
        ({"statistics": ((0.5, 0.5), 1.0)}, "each one number or 3"),
        ({"statistics": (0.5, 0.0)}, "`std` must be positive"),
        ({"datasets": ["eurosat"]}, "`test_fraction` must be given for 'euro"),
        ({"datasets": _TWO + _TWO}, "task names must be unique"),
    ],
)
def test_wrong_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        _make(**kwargs)


def test_a_name_alone_is_no_list_of_sets():
    with pytest.raises(ValueError, match="`datasets` must be Sequence"):
        dataset_stream("sketches", image_size=6, batch_size=4)


def test_unknown_sets_and_sets_without_training_images_are_named():
    with pytest.raises(UserError, match="Unknown data set 'flower'"):
        _make(["flower"])
    with pytest.raises(UserError, match="no such split: train"):
        _make(["lfw_pairs"])


def test_a_split_without_images_says_what_to_do():
    with pytest.raises(UserError, match="'validation': no image. Hold out"):
        _make(["sketches"], validation_fraction=0.01)


def _wide(side):
    """A wide grey image whose left and right eighths are white."""
    image = np.full((side, 4 * side, 3), 90, np.uint8)
    image[:, : side // 2] = image[:, -side // 2 :] = 255
    return image


def _of_files(monkeypatch):
    """Sets of PNG files, six wide images of each of two classes."""

    def opened(name, split, data_dir, image_shape, resize, memory=None):
        del data_dir, memory
        encoded = np.empty(12, object)
        for place in range(12):
            encoded[place] = tf.io.encode_png(_wide(16 + place)).numpy()
        return LabelledImages(
            EncodedInMemory(encoded),
            np.arange(12) % 2,
            ("a", "b"),
            image_shape,
            None,
            f"{name}, {split}",
            stored_channels=3,
            resize=resize,
        )

    monkeypatch.setattr(image_sets.tfds_source, "open_split", opened)


def test_training_sees_random_parts_of_whole_files_of_the_tasks_that_say_so(
    monkeypatch,
):
    _of_files(monkeypatch)
    stream = _make(
        image_size=14,
        resize=["centre_crop_bilinear", "bilinear"],
        train_crop=[RandomAreaCrop(shorter_side=16), None],
    )
    flowers, sketches = stream
    seeds = example_seeds(np.int32([1, 2]), np.arange(10))
    drawn = flowers.train.images.drawn(np.arange(10), seeds)
    assert drawn.shape == (10, 14, 14, 3)
    # The white borders are seen by training alone.
    assert 0 < (drawn.max((1, 2, 3)) == 255).sum()
    for split in (flowers.train, flowers.validation, flowers.test):
        assert (split.images[:] == 90).all()
    # Stretched, in training as well.
    assert isinstance(sketches.train.images, np.ndarray)
    assert (sketches.train.images[:, 7, 0] == 255).all()
    # What a user's own image is brought to is what the test images are.
    pixels = flowers.preprocessing(tf.constant(_wide(20)[None]))
    assert np.ptp(pixels.numpy(), (1, 2)).max() < 1e-6
    assert len({image.tobytes() for image in drawn}) > 2


def test_a_crop_may_hold_for_all_tasks_and_must_be_one():
    crop = RandomPlaceCrop(8)
    found = [task.train.images.crop for task in _make(train_crop=crop)]
    assert found == [crop, crop]
    with pytest.raises(ValueError, match="`train_crop` must have one value"):
        _make(train_crop=[crop])
    with pytest.raises(ValueError, match="`train_crop` must be a crop"):
        _make(train_crop=RandomFlip())
    with pytest.raises(ValueError, match="`side` must be at least 6"):
        _make(train_crop=RandomPlaceCrop(5))


def test_a_task_that_is_cropped_otherwise_is_another_one():
    prints = {
        _make(train_crop=crop).tasks[0].fingerprint()
        for crop in (None, RandomAreaCrop(), RandomPlaceCrop(8))
    }
    assert len(prints) == 3
