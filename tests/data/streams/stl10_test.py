"""STL-10 tasks: their design, sizes, noise and channel orders."""

import contextlib
import csv
import dataclasses
import io
import pathlib
from unittest import mock

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.testing import image_sets
from tfcl.data.sources import tfds_source
from tfcl.data.streams import stl10
from tfcl.data.streams.stl10 import STL10Task, stl10_design, stl10_stream

_REAL = image_sets.MadeUpSet((2, 2, 3), 10, {"train": 500, "test": 800})


@pytest.fixture
def made_up(monkeypatch):
    def use(made_up_set):
        image_sets.replace_open_split(monkeypatch, {"stl10": made_up_set})

    use(_REAL)
    return use


# The design


def test_tasks_have_different_class_sets_and_allowed_noise():
    rows = stl10_design(num_tasks=100)
    assert [row.task for row in rows] == list(range(100))
    assert len({row.classes for row in rows}) == 100
    for row in rows:
        assert len(set(row.classes)) == 3
        assert list(row.classes) == sorted(row.classes)
        assert sorted(row.channels) == [0, 1, 2]
    # Everything occurs that may, and nothing else.
    assert {row.noise_mean for row in rows} == {-0.05, -0.025, 0.0, 0.025}
    assert {row.noise_std for row in rows} == {0.0, 0.025}
    assert len({row.channels for row in rows}) == 6


def test_the_design_depends_on_its_seed_alone_and_grows():
    assert stl10_design(20) == stl10_design(20)
    assert stl10_design(20) != stl10_design(20, design_seed=1)
    assert stl10_design(25)[:20] == stl10_design(20)


def test_the_design_can_be_written_as_a_table():
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(STL10Task._fields)
    writer.writerows(stl10_design(2))
    header, first, _ = file.getvalue().splitlines()
    assert header == "task,classes,noise_mean,noise_std,channels"
    assert first.startswith("0,")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes_per_task": 1}, "classes_per_task=1"),
        ({"classes_per_task": 10}, r"2\.\.9.*classes_per_task=10"),
        ({"num_tasks": 121}, r"1\.\.120.*num_tasks=121"),
        ({"num_tasks": 0}, "num_tasks=0"),
    ],
)
def test_impossible_designs_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        stl10_design(**change)


def test_all_sets_can_be_used_up():
    assert len(stl10_design(10, classes_per_task=9)) == 10


# The stream


@pytest.mark.parametrize(
    ("settings", "tasks", "sizes"),
    [
        ({}, 20, (318, 57, 2400)),
        (
            {
                "num_tasks": 15,
                "classes_per_task": 5,
                "data_percent": 10,
                "validation_percent": 50,
            },
            15,
            (125, 125, 4000),
        ),
    ],
    ids=["20t", "15t"],
)
def test_sizes_are_the_published_ones(made_up, settings, tasks, sizes):
    stream = stl10_stream(**settings)
    assert (stream.name, len(stream)) == (f"stl10_{tasks}t", tasks)
    for task in stream:
        found = tuple(len(s) for s in (task.train, task.validation, task.test))
        assert found == sizes
        counts = np.bincount(task.train.labels)
        assert (counts == sizes[0] // task.num_classes).all()


def test_the_network_gets_pixels_around_zero(made_up):
    task = stl10_stream(num_tasks=1).tasks[0]
    for split in (task.train, task.validation, task.test):
        assert (split.mean == 0.5).all() and (split.std == 1.0).all()
    assert task.preprocessing.mean == (0.5, 0.5, 0.5)


def _design(**row):
    """A stream's design of one task."""
    plain = STL10Task(0, (0, 4, 7), 0.0, 0.0, (0, 1, 2))
    rows = [plain._replace(**row)]
    return mock.patch.object(stl10, "stl10_design", lambda *args: rows)


def _one_task(**row):
    with _design(**row):
        return stl10_stream(num_tasks=1).tasks[0]


_SPLITS = ("train", "validation", "test")


def test_without_noise_images_are_those_stored(made_up):
    task = _one_task()
    stored = {
        split: tfds_source.open_split("stl10", split)
        for split in ("train", "test")
    }
    for name in _SPLITS:
        split = getattr(task, name)
        source = stored["test" if name == "test" else "train"]
        for local, label in enumerate((0, 4, 7)):
            mine = split.images[split.labels == local]
            pool = source.images(np.flatnonzero(source.labels == label))
            theirs = {image.tobytes() for image in pool}
            assert {image.tobytes() for image in mine} <= theirs


def test_channels_are_reordered_in_every_split(made_up):
    plain, mixed = _one_task(), _one_task(channels=(2, 0, 1))
    for name in _SPLITS:
        one, other = (getattr(task, name).images for task in (plain, mixed))
        np.testing.assert_array_equal(one[..., [2, 0, 1]], other)


def test_noise_has_the_stated_mean_and_deviation_in_every_split(made_up):
    plain = _one_task()
    noisy = _one_task(noise_mean=-0.05, noise_std=0.025)
    for name in _SPLITS:
        one, other = (getattr(task, name).images for task in (plain, noisy))
        away_from_the_ends = (one > 60) & (one < 200)
        difference = other.astype(float) - one
        noise = difference[away_from_the_ends] / 255.0
        assert abs(noise.mean() + 0.05) < 4 * 0.025 / np.sqrt(len(noise))
        assert abs(noise.std() / 0.025 - 1.0) < 4 / np.sqrt(2 * len(noise))
        assert other.dtype == np.uint8
        # Clipped, not wrapped around.
        assert difference[one < 3].max() < 60
        assert difference[one > 252].max() <= 3


def test_a_pure_shift_is_rounded_to_whole_grey_levels(made_up):
    plain, shifted = _one_task(), _one_task(noise_mean=0.025)
    wanted = np.minimum(plain.train.images.astype(int) + 6, 255)
    np.testing.assert_array_equal(shifted.train.images, wanted)


def test_seeds_of_design_and_images_are_separate(made_up):
    def stream(**kwargs):
        return stl10_stream(num_tasks=3, **kwargs)

    def keys(stream):
        return [task.fingerprint() for task in stream]

    assert keys(stream()) == keys(stream())
    one, other = stream(), stream(data_seed=1)
    assert one.spec() == other.spec()
    assert keys(one) != keys(other)
    assert stream(design_seed=1).spec() != one.spec()


def test_training_and_validation_are_disjoint(made_up):
    task = _one_task()
    train, validation = (
        {image.tobytes() for image in split.images}
        for split in (task.train, task.validation)
    )
    assert not train & validation


@pytest.mark.parametrize("name", ["data_percent", "validation_percent"])
def test_percentages_out_of_range_are_refused(made_up, name):
    for value in (0, 101):
        with pytest.raises(ValueError, match=f"{name}={value}"):
            stl10_stream(**{name: value})


def test_nothing_left_is_named(made_up):
    made_up(dataclasses.replace(_REAL, per_class={"train": 3, "test": 3}))
    with pytest.raises(Exception, match="split 'train': no image"):
        stl10_stream()


_RAW = pathlib.Path(__file__).parents[3] / "../shared/raw/stl10"


@pytest.mark.skipif(
    not _RAW.exists(), reason="the sample of STL-10 files is not there"
)
def test_the_stock_builder_reads_the_official_files(tmp_path):
    with (
        mock.patch.object(
            tfds.download.DownloadManager,
            "download_and_extract",
            return_value=str(_RAW.resolve()),
        ),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        train = tfds_source.open_split("stl10", "train", str(tmp_path))
    assert train.image_shape == (96, 96, 3)
    assert train.class_names[:2] == ("airplane", "bird")
    binary = np.fromfile(_RAW / "stl10_binary/train_X.bin", np.uint8)
    binary = binary.reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1)
    assert len(train) == len(binary)
    wanted = {image.tobytes() for image in binary}
    assert {i.tobytes() for i in train.images(range(len(train)))} == wanted
