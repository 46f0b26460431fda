"""Tasks out of Omniglot's alphabets."""

import pathlib
import zipfile

import numpy as np
import pytest

from tests.testing import image_sets
from tfcl.data.sources.labelled_images import LabelledImages
from tfcl.data.sources.record_files import EncodedInMemory
from tfcl.data.streams.omniglot import OMNIGLOT_SIZES, omniglot_stream
from tfcl.errors import UserError

# Three alphabets, numbers past 9 among them; drawings in one part only.
_NAMES = (
    *(f"Greek_{k}" for k in range(12)),
    *(f"Japanese_(hiragana)_{k}" for k in range(3)),
    *(f"Old_Church_{k}" for k in range(2)),
)
_TRAIN = [20] * 15 + [0] * 2
_TEST = [0] * 15 + [20] * 2
_SET = image_sets.MadeUpSet(
    (105, 105, 3), _NAMES, {"train": _TRAIN, "test": _TEST}
)


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    image_sets.replace_open_split(monkeypatch, {"omniglot": _SET})


def _make(**kwargs):
    return omniglot_stream(**{"image_size": 5, "batch_size": 2, **kwargs})


def test_an_alphabet_is_a_task_and_a_character_a_class():
    stream = _make()
    assert stream.name == "omniglot_2"
    assert stream.spec().task_names == ("Greek", "Japanese_hiragana")
    # By number, not by text.
    assert stream.tasks[0].class_names == _NAMES[:12]
    assert stream.tasks[1].class_names == _NAMES[12:15]


@pytest.mark.parametrize("percent", OMNIGLOT_SIZES)
def test_counts_per_character(percent):
    train, validation = OMNIGLOT_SIZES[percent]
    for task in _make(data_percent=percent):
        for split, count in (
            (task.train, train),
            (task.validation, validation),
            (task.test, 10),
        ):
            assert set(np.bincount(split.labels)) == {count}
    assert OMNIGLOT_SIZES[10] == (1, 1) and OMNIGLOT_SIZES[50] == (8, 2)


def test_test_drawings_are_the_same_for_all_percentages_and_not_trained_on():
    few, many = _make(data_percent=10), _make(data_percent=50)
    for one, other in zip(few, many):
        np.testing.assert_array_equal(one.test.images, other.test.images)
        every = [
            image.tobytes()
            for split in (other.train, other.validation, other.test)
            for image in split.images
        ]
        assert len(set(every)) == len(every)


def test_images_are_grey_and_of_the_size_asked_for():
    task = _make(image_size=7).tasks[0]
    assert task.train.image_shape == (7, 7, 1)
    assert not task.train.mean.any() and (task.train.std == 1.0).all()


def test_parts_and_alphabets_can_be_chosen():
    assert _make(part="evaluation").spec().task_names == ("Old_Church",)
    assert _make(part="all").spec().task_names[-1] == "Old_Church"
    chosen = _make(part="all", alphabets=["Old_Church", "Greek"])
    assert chosen.spec().task_names == ("Old_Church", "Greek")


def test_unknown_alphabets_are_answered_with_the_known():
    message = "no alphabet Gothic. Known are: Greek, Japanese"
    with pytest.raises(UserError, match=message):
        _make(alphabets=["Gothic"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_percent": 60}, "10, 20, 30, 40 or 50.*data_percent=60"),
        ({"part": "train"}, "'evaluation' or 'all'.*part='train'"),
        ({"image_size": 0}, "image_size=0"),
    ],
)
def test_values_out_of_range_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        _make(**change)


def test_too_few_drawings_name_the_character(monkeypatch):
    few = image_sets.MadeUpSet((1, 1, 3), _NAMES, {"train": 15, "test": 15})
    image_sets.replace_open_split(monkeypatch, {"omniglot": few})
    message = "'Greek', split 'train': class 'Greek_0' has 3.*8 are asked"
    with pytest.raises(UserError, match=message):
        _make()


_RAW = pathlib.Path(__file__).parents[3] / "../shared/raw/omniglot/python"


@pytest.mark.skipif(
    not _RAW.exists(), reason="the sample of Omniglot files is not there"
)
def test_the_official_drawings_are_read():
    with zipfile.ZipFile(_RAW / "images_background_small1.zip") as archive:
        names = [n for n in archive.namelist() if n.endswith(".png")][:40]
        encoded = np.array([archive.read(name) for name in names], object)
    # The stock builder declares three channels; the files have one bit.
    drawings = LabelledImages(
        EncodedInMemory(encoded),
        np.zeros(40),
        ("a",),
        (28, 28, 1),
        None,
        "",
        stored_channels=3,
    )
    pixels = drawings.images(range(40))
    assert pixels.shape == (40, 28, 28, 1)
    # Black strokes on white.
    assert pixels.max() == 255 and pixels.mean() > 180 and pixels.min() < 100
