"""What images a run takes, and what is cut of them."""

import keras
import numpy as np
import pytest

import tfcl
from tests.learner.programs import examples, method, model
from tfcl.errors import UserError
from tfcl.learner.kept_tasks import KeptTasks
from tfcl.learner.readings import Reading, reading_for
from tfcl.learner.task_data import opened
from tfcl.methods import EWC, TaskTraining
from tfcl.models.model_pixels import RAW, own_preprocessing

_NO_WISH = dict.fromkeys(
    ("image_size", "channels", "batch_size", "preprocessing", "resize")
    + ("validation_fraction", "test_fraction")
)
TASK = tfcl.Task("shoes", train=examples(1))


def _reading(tmp_path, given=None, task=TASK, **wishes):
    kept = KeptTasks(tmp_path)
    return reading_for(kept, task, given, {**_NO_WISH, **wishes}, 0)


def _on(backbone):
    return EWC(TaskTraining(backbone=backbone, epochs=1))


def test_size_and_channels_come_from_the_wish_the_model_or_the_images(tmp_path):
    assert _reading(tmp_path, method()).image_shape == (12, 12, 3)
    large = tfcl.Task("shoes", train=examples(1, size=30))
    assert _reading(tmp_path, method(), large).image_shape == (12, 12, 3)
    assert _reading(tmp_path, None, large).image_shape == (30, 30, 3)
    wished = _reading(tmp_path, None, large, image_size=(8, 9), channels=1)
    assert wished.image_shape == (8, 9, 1)
    folder = tfcl.Task("shoes", train="pictures")
    with pytest.raises(UserError, match="'shoes': neither .*image_size=..."):
        _reading(tmp_path, None, folder)
    with pytest.raises(UserError, match="`image_size` must be a positive"):
        _reading(tmp_path, None, large, image_size=(8, 0))


def test_a_model_that_converts_pixels_gets_them_raw(tmp_path, caplog):
    assert _reading(tmp_path, method()).statistics == RAW
    assert _reading(tmp_path, _on(model(converts=False))).statistics == "train"
    assert _reading(tmp_path, None).statistics == "train"
    found = _reading(tmp_path, method(), preprocessing="none")
    assert found.statistics == "none"
    pair = _reading(tmp_path, preprocessing=(0.5, [0.1, 0.2, 0.3]))
    assert pair.statistics == (0.5, [0.1, 0.2, 0.3])
    for wrong in ("caffe", (1.0,)):
        with pytest.raises(UserError, match="`preprocessing` must be 'auto'"):
            _reading(tmp_path, preprocessing=wrong)


def _converts(*layers):
    return own_preprocessing(
        keras.Sequential([keras.Input((8, 8, 3)), *layers])
    )


def test_the_layer_that_converts_is_found_wherever_it_is():
    layers = keras.layers
    scale, conv = layers.Rescaling(2.0), layers.Conv2D(2, 3)
    inner = keras.Sequential([keras.Input((8, 8, 3)), scale, conv])
    assert _converts(scale, conv) is scale
    assert _converts(layers.RandomFlip(), layers.Resizing(4, 4), scale) is scale
    assert _converts(inner) is scale
    assert _converts(layers.RandomFlip(), inner) is scale
    assert _converts(conv, scale) is None
    normal = layers.Normalization(mean=0.0, variance=1.0)
    assert _converts(normal, conv) is normal
    network = keras.applications.MobileNetV3Small(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    assert isinstance(own_preprocessing(network), layers.Rescaling)


def test_raw_pixels_reach_the_model_as_they_are(tmp_path):
    task = opened(TASK, _reading(tmp_path, method()))
    pixels = task.test.images[:4]
    found = task.preprocessing(pixels).numpy()
    np.testing.assert_allclose(found, pixels, rtol=1e-6)
    split = task.test
    np.testing.assert_allclose(
        (pixels * np.float32(split.scale) - split.mean[0]) / split.std[0],
        pixels,
        rtol=1e-6,
    )


def test_missing_parts_are_cut_and_equal_images_stay_together(tmp_path):
    images, labels = examples(1, 50)
    twice = np.concatenate([images, images]), np.concatenate([labels, labels])
    task = opened(tfcl.Task("t", train=twice), _reading(tmp_path))
    parts = [
        {image.tobytes() for image in getattr(task, name).images}
        for name in ("train", "validation", "test")
    ]
    assert sum(map(len, parts)) == 50 == len(set.union(*parts))
    for label in (0, 1):
        n = (labels == label).sum()
        of = [(getattr(task, p).labels == label).sum() for p in _PARTS]
        assert of == [
            2 * (n - int(n * 0.15) - int(n * 0.2)),
            2 * int(n * 0.15),
            2 * int(n * 0.2),
        ]


_PARTS = ("train", "validation", "test")


def test_given_parts_are_taken_whole(tmp_path):
    test, validation = examples(3, 20), examples(4, 10)
    given = tfcl.Task("t", examples(1), test=test, validation=validation)
    task = opened(given, _reading(tmp_path))
    assert [len(getattr(task, p)) for p in _PARTS] == [200, 10, 20]
    for image, label in zip(task.test.images, task.test.labels):
        (at,) = np.flatnonzero((test[0] == image).all((1, 2, 3)))
        assert test[1][at] == label


def test_fractions_and_ways_are_kept_as_json():
    reading = Reading((8, 8, 3), (0.5, (1.0, 2.0)), "crop", 0.1, 0.2, 3, 16)
    assert Reading.from_json(reading.to_json()) == reading


def _folder(root):
    for name, label in (("red", 0), ("green", 1)):
        (root / name).mkdir(parents=True)
        images, labels = examples(1, 40)
        for k, image in enumerate(images[labels == label]):
            path = root / name / f"{k}.png"
            keras.utils.save_img(path, image, scale=False)
    return root


def test_a_folder_is_a_task(tmp_path):
    root = _folder(tmp_path / "pictures" / "bags")
    task = opened(tfcl.Task("own", train=root), _reading(tmp_path, method()))
    assert task.name == "own" and task.class_names == ("green", "red")
    total = sum(len(getattr(task, p)) for p in _PARTS)
    assert total == 40 and task.train.image_shape == (12, 12, 3)
    named = tfcl.Task("own", train=str(root), class_names=["Green", "Red"])
    assert opened(named, _reading(tmp_path, method())).class_names == (
        "Green",
        "Red",
    )
    with pytest.raises(UserError, match="must name 2 classes .green, red"):
        wrong = tfcl.Task("own", train=root, class_names=["one"])
        opened(wrong, _reading(tmp_path, method()))
    with pytest.raises(UserError, match="brings its own parts"):
        both = tfcl.Task("own", train=root, test=examples(2))
        opened(both, _reading(tmp_path, method()))


def test_a_data_set_of_the_catalog_is_a_task(tmp_path):
    reading = _reading(tmp_path, image_size=8, channels=1)
    task = opened(tfcl.Task("numbers", train="digits"), reading, tmp_path)
    assert task.name == "numbers" and task.num_classes == 10
    with pytest.raises(UserError, match="'no_such' is no folder, and no data"):
        opened(tfcl.Task("t", train="no_such"), reading, tmp_path)
    pair = _reading(tmp_path, image_size=(8, 9))
    with pytest.raises(UserError, match="images of data sets are square"):
        opened(tfcl.Task("t", train="digits"), pair, tmp_path)
