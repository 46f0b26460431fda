"""Streams of points, of features, and streams without borders."""

import functools

import keras
import numpy as np
import pytest

from tests.methods.online.online_methods import METHODS
from tests.testing import toy_run
from tfcl.data.scenarios.online_stream import online_stream
from tfcl.data.streams.feature_stream import feature_stream
from tfcl.data.streams.point_stream import point_stream
from tfcl.engine.experiment import Experiment
from tfcl.engine.outputs import split_points
from tfcl.reporting import stream_figures

_TWO = toy_run.toy_stream((2, 2))


def _network(
    image_shape, scale=1.0, pooling=keras.layers.GlobalAveragePooling2D
):
    inputs = keras.Input(image_shape)
    pooled = pooling()(inputs)
    start = keras.initializers.Constant(scale)
    outputs = keras.layers.Dense(5, kernel_initializer=start)(pooled)
    return keras.Model(inputs, outputs)


def test_features_are_those_of_the_standardised_images(tmp_path):
    found = feature_stream(_TWO, _network, 7, str(tmp_path))
    for task, images in zip(found, _TWO()):
        assert task.train.image_shape == (1, 1, 5)
        split = images.test
        pixels = split.images * np.float32(split.scale)
        pixels = (pixels - split.mean) / split.std
        wanted = pixels.mean((1, 2)).sum(-1)
        np.testing.assert_allclose(
            task.test.images[:, 0, 0, 3], wanted, atol=1e-5
        )
        np.testing.assert_array_equal(task.test.labels, split.labels)


def test_features_are_computed_once_for_a_network_and_its_data(tmp_path):
    first = feature_stream(_TWO, _network, cache_dir=str(tmp_path))
    files = {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    assert len(files) == 6
    again = feature_stream(_TWO, _network, cache_dir=str(tmp_path))
    assert {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == files
    for one, other in zip(first, again):
        assert one.fingerprint() == other.fingerprint()
    other = functools.partial(_network, scale=2.0)
    feature_stream(_TWO, other, cache_dir=str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 12
    # Of the same weights, too.
    other = functools.partial(_network, pooling=keras.layers.GlobalMaxPooling2D)
    feature_stream(_TWO, other, cache_dir=str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 18


def test_a_drawn_network_is_that_of_the_seed(tmp_path):
    def network(image_shape):
        inputs = keras.Input(image_shape)
        outputs = keras.layers.Flatten()(inputs)
        return keras.Model(inputs, keras.layers.Dense(4)(outputs))

    fingerprints = []
    for number, seed in enumerate((1, 1, 2)):
        keras.utils.set_random_seed(100 + number)
        run = Experiment(
            tmp_path / str(number),
            method=METHODS["mlp"](),
            stream=functools.partial(
                feature_stream, _TWO, network, cache_dir=str(tmp_path)
            ),
            seed=seed,
        )
        run.close()
        fingerprints.append(run.stream.tasks[0].fingerprint())
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_a_damaged_file_is_made_anew(tmp_path):
    wanted = feature_stream(_TWO, _network, cache_dir=str(tmp_path))
    for number, path in enumerate(sorted(tmp_path.iterdir())):
        path.write_bytes(path.read_bytes()[: 50 * number])
    found = feature_stream(_TWO, _network, cache_dir=str(tmp_path))
    for one, other in zip(found, wanted):
        assert one.fingerprint() == other.fingerprint()


@pytest.mark.parametrize("place", [0, 60, 200, -40, -1])
def test_a_flipped_bit_of_the_cache_is_found_and_said(tmp_path, caplog, place):
    wanted = feature_stream(_TWO, _network, cache_dir=str(tmp_path))
    path = sorted(tmp_path.iterdir())[0]
    whole = path.read_bytes()
    content = bytearray(whole)
    content[place] ^= 4
    path.write_bytes(content)
    with caplog.at_level("WARNING", logger="absl"):
        found = feature_stream(_TWO, _network, cache_dir=str(tmp_path))
    assert f"{path} cannot be read" in caplog.text
    assert path.read_bytes() == whole
    for one, other in zip(found, wanted):
        assert one.fingerprint() == other.fingerprint()


def test_cached_features_of_other_images_are_found(tmp_path, caplog):
    wanted = feature_stream(_TWO, _network, cache_dir=str(tmp_path))
    # Of two splits with as many images.
    largest = max(path.stat().st_size for path in tmp_path.iterdir())
    one, other = [
        path
        for path in sorted(tmp_path.iterdir())
        if path.stat().st_size == largest
    ][:2]
    one.write_bytes(other.read_bytes())
    found = feature_stream(_TWO, _network, cache_dir=str(tmp_path))
    assert f"{one} cannot be read" in caplog.text
    for task, task_wanted in zip(found, wanted):
        assert task.fingerprint() == task_wanted.fingerprint()


def test_a_network_must_end_in_features(tmp_path):
    def maps(image_shape):
        inputs = keras.Input(image_shape)
        return keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs))

    with pytest.raises(ValueError, match="`network`.*Received"):
        feature_stream(_TWO, maps, cache_dir=str(tmp_path))


def test_classes_may_come_one_after_another():
    """Non-stationary mini-ImageNet's order: domains, then classes."""
    (task,) = online_stream(_TWO, "domain", by_class=True).tasks
    for split in (task.train, task.validation, task.test):
        assert (np.diff(split.groups) >= 0).all()
        np.testing.assert_array_equal(np.unique(split.groups), range(4))
        np.testing.assert_array_equal(split.labels, split.groups % 2)
        assert len(split.mean) == 4
    # Each image keeps the standardisation of its task.
    first, second = _TWO().tasks
    np.testing.assert_array_equal(task.train.mean[1], first.train.mean[0])
    np.testing.assert_array_equal(task.train.mean[2], second.train.mean[0])
    (task,) = online_stream(_TWO, "class", True, 5).tasks
    assert (np.bincount(task.train.groups) % 5 == 0).all()
    np.testing.assert_array_equal(task.train.labels, task.train.groups)


def test_validation_may_know_the_beginning_of_the_stream_alone():
    (whole,) = online_stream(_TWO, "domain", by_class=True).tasks
    (task,) = online_stream(_TWO, "domain", True, validated_share=0.5).tasks
    np.testing.assert_array_equal(np.unique(task.validation.groups), [0, 1])
    known = np.flatnonzero(whole.validation.groups < 2)
    np.testing.assert_array_equal(
        task.validation.images, whole.validation.images[known]
    )
    assert len(task.test) == len(whole.test)
    for share in (0.0, 1.5):
        with pytest.raises(ValueError, match="`validated_share`.*Received"):
            online_stream(_TWO, validated_share=share)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("prepared"))


def test_points_are_float32_splits_whose_groups_are_distributions(data_dir):
    stream = point_stream("moons", "cdi", data_dir=data_dir)
    assert stream.spec().image_shape == (1, 1, 2)
    (task,) = stream.tasks
    assert task.train.images.dtype == np.float32
    assert np.bincount(task.train.groups).tolist() == [
        *(200, 50, 150, 100),
        *(200, 50, 150, 100),
    ]
    assert task.validation.groups.max() == 3
    assert task.domains == (0, 0, 0, 0, 1, 1, 1, 1)
    panels = stream_figures.data_figure(split_points(task)).axes
    assert [axes.get_title() for axes in panels] == [
        f"{split}, {kind}"
        for kind in ("class", "domain", "distribution")
        for split in ("train", "validation", "test")
    ]
    # Two domains of training points, one of validation points.
    assert [len(axes.collections) for axes in panels[3:6]] == [2, 1, 2]
    with pytest.raises(ValueError, match="order.*cdid"):
        point_stream("moons", "random", data_dir=data_dir)
    for size in (0, 2.0, 3):
        with pytest.raises(ValueError, match="`batch_size`.*Received"):
            point_stream("moons", "cdi", size, data_dir=data_dir)
    for size in (0, -5, True):
        with pytest.raises(ValueError, match="`batch_size`.*Received"):
            online_stream(_TWO, batch_size=size)
