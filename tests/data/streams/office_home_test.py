"""The Office-Home streams on made-up images."""

import numpy as np
import pytest

from tests.testing import image_sets
from tfcl.data.streams.office_home import OFFICE_HOME_GROUPS, office_home_stream
from tfcl.data_builders.office_home.office_home_dataset_builder import (
    CLASS_NAMES,
)
from tfcl.errors import UserError

# From the smallest class of the real set (15) on; one is a multiple of ten.
_COUNTS = 15 + np.arange(65) % 16


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    domain = image_sets.MadeUpSet((9, 9, 3), CLASS_NAMES, {"train": _COUNTS})
    names = ("office_home_product", "office_home_real_world")
    image_sets.replace_open_split(monkeypatch, dict.fromkeys(names, domain))


def _make(**kwargs):
    return office_home_stream(**{"image_size": 4, **kwargs})


def _keys(split):
    return {image.tobytes() for image in split.images}


def test_five_groups_of_classes_in_two_domains():
    stream = _make()
    assert stream.name == "office_home_10"
    assert stream.spec().task_names == tuple(
        f"{domain}_{k}"
        for domain in ("product", "real_world")
        for k in range(1, 6)
    )
    assert sorted(sum(OFFICE_HOME_GROUPS, ())) == list(range(65))
    names = [task.class_names for task in stream]
    assert names[:5] == names[5:]
    assert names[0][:3] == ("TV", "Sneakers", "Soda")
    assert names[4][-3:] == ("Calculator", "Alarm_Clock", "Pen")


def test_each_class_is_cut_60_10_30_and_rounded_down():
    for task, classes in zip(_make(), OFFICE_HOME_GROUPS * 2):
        counts = _COUNTS[list(classes)]
        for split, tenths in (("train", 6), ("validation", 1), ("test", 3)):
            found = np.bincount(getattr(task, split).labels, minlength=13)
            np.testing.assert_array_equal(found, counts * tenths // 10)


def test_splits_are_disjoint_and_drawn_by_the_seed():
    one, other = _make(), _make(data_seed=1)
    for mine, theirs in zip(one, other):
        assert not _keys(mine.train) & _keys(mine.test)
        assert not _keys(mine.validation) & (
            _keys(mine.train) | _keys(mine.test)
        )
        assert _keys(mine.test) != _keys(theirs.test)
    again = _make()
    assert [t.fingerprint() for t in one] == [t.fingerprint() for t in again]


def test_images_have_the_size_asked_for_and_are_not_standardised():
    for task in _make(image_size=6):
        assert task.train.image_shape == (6, 6, 3)
        assert task.train.images.dtype == np.uint8
        assert not task.test.mean.any() and (task.test.std == 1.0).all()
        assert task.train.scale == 1.0 / 255.0
        assert task.preprocessing.image_shape == (6, 6, 3)


def test_the_incremental_stream_adds_a_class_per_task():
    stream = _make(incremental=True, batch_size=8)
    assert stream.name == "office_home_6"
    assert stream.spec().class_counts == (3, 4, 5, 6, 7, 8)
    last = stream.tasks[-1]
    wanted = [13, 58, 41, 11, 6, 38, 3, 62]
    assert last.class_names == tuple(CLASS_NAMES[c] for c in wanted)
    for task in stream:
        assert task.class_names == last.class_names[: task.num_classes]
        # A class has the same images in every task.
        of_last = last.test.labels < task.num_classes
        np.testing.assert_array_equal(
            task.test.images, last.test.images[of_last]
        )


def test_a_size_of_nothing_is_refused():
    with pytest.raises(ValueError, match="`image_size`.*image_size=0"):
        _make(image_size=0)


def test_a_domain_that_is_not_there_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(UserError) as caught:
        office_home_stream(data_dir=str(tmp_path))
    message = str(caught.value)
    assert "'office_home_product'" in message
    assert "officeHomeDataset.html" in message
    assert f"'{tmp_path}/downloads/manual'" in message
