"""What is decided and told when all images of a task have been read."""

import os

import numpy as np
import PIL.Image
import pytest

from tests.testing.folders import draw, draw_task, save
from tfcl.data.streams.folder_stream import folder_stream
from tfcl.data_builders.image_folders.tree_faults import TreeError
from tfcl.data_builders.image_folders.white_point import Range, decide
from tfcl.errors import UserError

_SPLITS = ("train", "validation", "test")
_POSIX = pytest.mark.skipif(os.name != "posix", reason="has no such files")


def opened(root, **kwargs):
    return folder_stream(
        root=str(root), **{"image_size": (6, 5), "batch_size": 1, **kwargs}
    )


def deep_task(root, high, dtype=np.uint16, ending="png", name="a"):
    """A task whose numbers end at `high`; no image but the last reaches it."""
    draws = np.random.default_rng(0)
    place = 0
    for split in _SPLITS:
        for class_name in "xy":
            for k in range(2):
                values = draws.uniform(0.0, 0.6 * high, (6, 5))
                values[0, 0] = high * 0.05
                place += 1
                if place == 12:
                    values[-1, -1] = high
                path = root / name / split / class_name / f"{k}.{ending}"
                save(path, values.astype(dtype))
    return root


# White


@pytest.mark.parametrize(
    ("high", "dtype", "ending", "white"),
    [
        (4000, np.uint16, "png", 4095),
        (1000, np.uint16, "tiff", 1023),
        (16000, np.uint16, "png", 16383),
        (60000, np.uint16, "png", 65535),
        (1.0, np.float32, "tif", 1),
        (1.01, np.float32, "tif", 1),
        (250.0, np.float32, "tif", 255),
    ],
)
@pytest.mark.parametrize("in_memory", [True, False])
def test_white_is_decided_for_the_data_set_said_and_recorded(
    tmp_path, high, dtype, ending, white, in_memory, caplog
):
    caplog.set_level("INFO")
    root = deep_task(tmp_path / "my", high, dtype, ending)
    (task,) = opened(root, in_memory=in_memory).tasks
    for name in _SPLITS:
        images = getattr(task, name).images[np.arange(4)]
        paths = sorted((root / "a" / name).rglob(f"*.{ending}"))
        for image, path in zip(images, paths):
            values = np.asarray(PIL.Image.open(path)).astype(np.float64)
            wanted = np.clip(np.rint(values * 255.0 / white), 0, 255)
            np.testing.assert_array_equal(image[..., 0], wanted)
        assert len(np.unique(images)) > 60
    assert f"white is {white:,}" in caplog.text
    assert "Task 'a': 12 of 12 images hold" in caplog.text
    assert task.preprocessing.white == white
    assert task.preprocessing.to_json()["white"] == white
    again = type(task.preprocessing).from_json(task.preprocessing.to_json())
    assert again == task.preprocessing


def test_tasks_decide_alone_so_that_a_longer_stream_goes_on(tmp_path):
    deep_task(tmp_path, 4000, name="a")
    deep_task(tmp_path, 60000, name="b")
    one, other = opened(tmp_path).tasks
    assert (one.preprocessing.white, other.preprocessing.white) == (4095, 65535)
    (alone,) = opened(tmp_path, tasks=["a"]).tasks
    assert alone.fingerprint() == one.fingerprint()


def test_images_of_8_bits_decide_and_record_nothing(tmp_path, caplog):
    caplog.set_level("INFO")
    draw_task(tmp_path, "a", {"x": 1, "y": 1}, _SPLITS)
    (task,) = opened(tmp_path).tasks
    assert task.preprocessing.white is None
    assert "white" not in task.preprocessing.to_json()
    assert "white" not in caplog.text


@pytest.mark.parametrize("in_memory", [True, False])
def test_another_white_is_other_data(tmp_path, in_memory):
    deep_task(tmp_path, 4000)
    prints = [
        opened(tmp_path, white=white, in_memory=in_memory)
        .tasks[0]
        .fingerprint()
        for white in (None, 4095.0, 4000.0)
    ]
    assert prints[0] == prints[1] != prints[2]


def test_odd_ranges_are_told(tmp_path, caplog):
    root = deep_task(tmp_path, 4000)
    opened(root, white=65535.0)
    assert "no number exceeds 4,000, so that all is nearly black" in caplog.text
    caplog.clear()
    opened(root, white=1000.0)
    assert "numbers up to 4,000 are cut to white" in caplog.text
    caplog.clear()
    draw(root / "a/train/x/8.png")
    opened(root)
    assert "the other 1 images have 8 bits" in caplog.text


def test_negative_numbers_are_told():
    ranges = [Range(True, -0.5, 0.9), Range(True, 0.0, 1.0)]
    white = decide("Task 'a'", ranges, 2)
    assert white.value == 1.0
    assert "numbers from -0.5 to 0 are cut to black" in white.warning


@pytest.mark.parametrize("high", [3.7, 70000.0])
def test_numbers_that_tell_no_white_are_asked_for(tmp_path, high):
    root = deep_task(tmp_path, high, np.float32, "tif")
    with pytest.raises(UserError, match="nothing says which is white"):
        opened(root)
    assert opened(root, white=high).tasks[0].preprocessing.white == high


def test_whole_and_floating_numbers_have_no_common_white():
    ranges = [Range(True, 0.0, 1.0), Range(False, 0.0, 4000.0)]
    with pytest.raises(TreeError, match="no white in common"):
        decide("Task 'a'", ranges, 2)


@pytest.mark.parametrize("white", [0.0, -1.0, float("nan"), float("inf")])
def test_a_white_that_is_none_is_refused(tmp_path, white):
    draw_task(tmp_path, "a", {"x": 1, "y": 1}, _SPLITS)
    with pytest.raises(
        ValueError, match=r"`white` must be float in \(0, inf\)"
    ):
        opened(tmp_path, white=white)


# Two channels


def test_two_channels_are_bad_images_unless_asked_for(tmp_path):
    draw_task(tmp_path, "a", {"x": 1, "y": 1}, _SPLITS)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 2), np.uint8)
    save(tmp_path / "a/train/x/0.png", pixels)
    with pytest.raises(UserError, match="x/0.png' has two channels"):
        opened(tmp_path)
    (task,) = opened(tmp_path, two_channels="grey").tasks
    found = task.train.images[0]
    np.testing.assert_array_equal(found, np.repeat(pixels[..., :1], 3, -1))
    assert task.preprocessing.two_channels == "grey"
    assert task.preprocessing.to_json()["two_channels"] == "grey"


# One image in two classes


def test_one_image_under_two_classes_is_told_with_names_and_counts(
    tmp_path, caplog
):
    draw_task(tmp_path, "a", {"x": 8, "y": 10}, _SPLITS)
    for k in range(8):
        content = (tmp_path / f"a/train/x/{k}.png").read_bytes()
        (tmp_path / f"a/train/y/copy_{k}.png").write_bytes(content)
    opened(tmp_path)
    assert "8 of the 24 different images of class 'x'" in caplog.text
    assert "among the 38 of class 'y'" in caplog.text
    assert "train/x/0.png' and '" in caplog.text
    assert "train/y/copy_0.png'" in caplog.text
    assert "keep each in one class" in caplog.text


def test_copies_inside_of_a_class_are_no_contradiction(tmp_path, caplog):
    draw_task(tmp_path, "a", {"x": 8, "y": 8}, _SPLITS)
    content = (tmp_path / "a/train/x/0.png").read_bytes()
    (tmp_path / "a/train/x/copy.png").write_bytes(content)
    opened(tmp_path)
    assert "different images of class" not in caplog.text


def test_of_many_contradicting_classes_the_worst_are_shown(tmp_path, caplog):
    draw_task(tmp_path, "a", {f"c{k}": 3 for k in range(5)}, _SPLITS)
    for k in range(5):
        draw(tmp_path / f"a/train/c{k}/same.png", key=1)
    opened(tmp_path)
    assert caplog.text.count("keep each in one class") == 5
    assert "so it is with 5 further pairs of classes" in caplog.text


# What is no file


@_POSIX
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_named_or_skipped_and_does_not_hang(
    tmp_path, kind, caplog
):
    draw_task(tmp_path, "a", {"x": 2, "y": 1}, _SPLITS)
    path = tmp_path / "a/train/x/1.png"
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(UserError, match="x/1.png' cannot be read: it is a"):
        opened(tmp_path)
    (task,) = opened(tmp_path, on_bad_image="skip").tasks
    assert len(task.train) == 2
    assert "Left out 1 file(s)" in caplog.text


def test_larger_files_than_stated_are_bad_images(tmp_path):
    draw_task(tmp_path, "a", {"x": 1, "y": 1}, _SPLITS)
    size = draw(tmp_path / "a/train/x/1.png", size=(40, 40)).stat().st_size
    opened(tmp_path, largest_file=size)
    with pytest.raises(UserError, match=f"more than the {size - 1:,} that a"):
        opened(tmp_path, largest_file=size - 1)
    with pytest.raises(ValueError, match="`largest_file`"):
        opened(tmp_path, largest_file=0)


def test_broken_exif_is_told_once_per_task_with_a_name(tmp_path, caplog):
    draw_task(tmp_path, "a", {"x": 1, "y": 1}, _SPLITS)
    pixels = np.zeros((6, 5, 3), np.uint8)
    for k in range(3):
        path = tmp_path / f"a/train/x/odd_{k}.jpg"
        save(path, pixels + k * 40, exif=b"Exif\0\0II*\0\xff")
    opened(tmp_path)
    assert caplog.text.count("has EXIF notes that cannot be read") == 1
    assert "x/odd_0.jpg' has" in caplog.text
    assert "(3 such image(s))" in caplog.text
