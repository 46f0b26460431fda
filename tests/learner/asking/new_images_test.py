"""Accuracy on new images, counted by hand."""

import types

import numpy as np
import PIL.Image
import pytest

from tfcl.data.preprocessing import Preprocessing
from tfcl.errors import UserError
from tfcl.learner.asking import new_images
from tfcl.learner.asking.new_images import asked_tasks, measured

_PLAIN = Preprocessing((1, 1, 3), (0.0,), (1.0,))


class _Learned:
    """Tasks that answer with the grey level of an image."""

    names = ["first", "second", "third"]
    _classes = {
        "first": ("zero", "one"),
        "second": ("two", "one", "three"),
        "third": ("four",),
    }

    def __init__(self):
        self.batches = []

    def find(self, name):
        if name not in self.names:
            raise UserError(f"No learned task '{name}'")
        return types.SimpleNamespace(
            name=name, class_names=self._classes[name], preprocessing=_PLAIN
        )

    def probabilities_of_each(self, entry, images):
        self.batches.append(len(images))
        labels = [image[0, 0, 0] for image in images]
        return np.eye(len(entry.class_names))[labels]


@pytest.fixture(name="grey")
def _grey(tmp_path):
    """Function to files of images of these grey levels."""

    def grey(*levels):
        paths = []
        for number, level in enumerate(levels):
            path = tmp_path / f"{number}_{level}.png"
            pixels = np.full((2, 3, 3), level, np.uint8)
            PIL.Image.fromarray(pixels).save(path)
            paths.append(str(path))
        return paths

    return grey


def test_classes_are_counted_for_each_task(grey):
    learned = _Learned()
    files = {"one": grey(0, 1, 1), "three": grey(2)}
    first, second = asked_tasks(learned, list(files), None)
    assert (first.name, second.name) == ("first", "second")
    found = measured(learned, first, files, 1000)
    assert found.classes == {"one": (2, 3)}
    assert found.accuracy == pytest.approx(2 / 3)
    found = measured(learned, second, files, 1000)
    assert found.classes == {"one": (2, 3), "three": (1, 1)}
    assert (found.right, found.images, found.accuracy) == (3, 4, 0.75)


def test_images_are_not_in_memory_together(grey, monkeypatch):
    monkeypatch.setattr(new_images, "AT_ONCE", 2)
    learned = _Learned()
    entry = learned.find("first")
    found = measured(learned, entry, {"zero": grey(0, 0, 0, 1, 0)}, 1000)
    assert found.classes == {"zero": (4, 5)} and learned.batches == [2, 2, 1]


def test_unknown_classes_are_refused_with_the_known_ones():
    with pytest.raises(UserError) as error:
        asked_tasks(_Learned(), ["one", "ship", "boat"], None)
    text = str(error.value)
    assert "No learned task has a class 'ship', 'boat'" in text
    assert "first: zero, one; second: two, one, three" in text
    with pytest.raises(UserError, match="Task 'first' has no class 'two'"):
        asked_tasks(_Learned(), ["one", "two"], "first")
    with pytest.raises(UserError, match="No learned task 'none'"):
        asked_tasks(_Learned(), ["one"], "none")
