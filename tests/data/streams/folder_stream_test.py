"""A user's folders as a stream: what becomes of every image and mistake."""

import os
import pathlib
from unittest import mock

import gin
import numpy as np
import PIL.Image
import pytest
from absl import logging

from tests.testing.folders import draw, draw_task, save
from tfcl.data.lazy_images import CachedImages, MemoryLimits
from tfcl.data.sources import image_files
from tfcl.data.sources.image_files import read_image
from tfcl.data.sources.task_images import move_rows
from tfcl.data.streams.folder_stream import folder_stream
from tfcl.errors import UserError

_SPLITS = ("train", "validation", "test")


def opened(root, **kwargs):
    return folder_stream(
        root=str(root), **{"image_size": (10, 12), "batch_size": 1, **kwargs}
    )


def fault(root, **kwargs):
    with pytest.raises(UserError) as caught:
        opened(root, **kwargs)
    message = str(caught.value).split("\n  In call to")[0]  # Added by gin.
    assert "\n" not in message
    return message


def images_of(split):
    """The split's images, as a set that can be compared."""
    return {image.tobytes() for image in split.images[np.arange(len(split))]}


@pytest.fixture
def tree(tmp_path):
    """One task with splits, one without."""
    draw_task(tmp_path / "my", "birds", {"robin": 2, "magpie": 3}, _SPLITS)
    return draw_task(tmp_path / "my", "cars", {"mini": 20, "beetle": 10})


# What becomes of a tree


def test_tasks_classes_and_splits_come_from_the_folders(tree):
    stream = opened(tree)
    assert stream.name == "my"
    birds, cars = stream.tasks
    assert (birds.name, birds.class_names) == ("birds", ("magpie", "robin"))
    assert (cars.name, cars.class_names) == ("cars", ("beetle", "mini"))
    assert cars.earlier == (birds,)
    for name in _SPLITS:
        split = getattr(birds, name)
        assert split.labels.tolist() == [0, 0, 0, 1, 1]
        paths = sorted((tree / "birds" / name).rglob("*.png"))
        wanted = np.stack([read_image(path) for path in paths])
        np.testing.assert_array_equal(split.images, wanted)


def test_missing_splits_are_cut_from_train_as_documented(tree):
    cars = opened(tree).tasks[1]
    # beetle: 10 images, mini: 20; 20 % test, 15 % validation, rounded down.
    counts = [np.bincount(getattr(cars, s).labels).tolist() for s in _SPLITS]
    assert counts == [[7, 13], [1, 3], [2, 4]]
    parts = [images_of(getattr(cars, s)) for s in _SPLITS]
    assert len(parts[0] | parts[1] | parts[2]) == 30


def test_the_cut_depends_on_the_seed_alone(tree):
    digests = [
        [
            getattr(opened(tree, data_seed=seed).tasks[1], s).digest()
            for s in _SPLITS
        ]
        for seed in (0, 0, 1)
    ]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]
    # Another task beside it changes nothing.
    alone = opened(tree, tasks=["cars"]).tasks[0]
    assert [getattr(alone, s).digest() for s in _SPLITS] == digests[0]


def test_only_what_is_missing_is_cut(tmp_path):
    draw_task(tmp_path, "a", {"x": 10, "y": 10}, ("train",))
    draw_task(tmp_path, "a", {"x": 2, "y": 1}, ("test",))
    (task,) = opened(tmp_path).tasks
    sizes = [len(getattr(task, s)) for s in _SPLITS]
    assert sizes == [18, 2, 3]


def test_fractions_are_taken_as_they_are_written(tmp_path):
    draw_task(tmp_path, "a", {"x": 100, "y": 3}, size=(2, 2))
    (task,) = opened(
        tmp_path, validation_fraction=0.29, test_fraction=0.57
    ).tasks
    counts = [np.bincount(getattr(task, s).labels).tolist() for s in _SPLITS]
    assert counts == [[14, 1], [29, 1], [57, 1]]


def test_tasks_come_in_the_order_given(tree):
    stream = opened(tree, tasks=["cars", "birds"])
    assert [task.name for task in stream.tasks] == ["cars", "birds"]
    assert "'brids'. Did you mean 'birds'?" in fault(tree, tasks=["brids"])


def test_lists_of_paths_and_labels(tmp_path):
    task = tmp_path / "my" / "a"
    for k in range(12):
        draw(task / "all of them" / f"{k}.png", k)
    lines = [f"all of them/{k}.png {(2, 10)[k % 2]}" for k in range(8)]
    (task / "train.txt").write_text("\ufeff" + "\r\n".join(lines) + "\r\n\n")
    (task / "val.txt").write_text("all of them/8.png\t10\n")
    (task / "test.txt").write_text(f"{task}/all of them/9.png 2\n")
    (found,) = opened(tmp_path / "my").tasks
    assert found.class_names == ("2", "10")  # By value.
    assert np.bincount(found.train.labels).tolist() == [4, 4]
    assert found.validation.labels.tolist() == [1]
    image = read_image(task / "all of them" / "9.png")
    np.testing.assert_array_equal(found.test.images[0], image)
    assert found.test.labels.tolist() == [0]


def test_a_class_may_be_called_like_a_split(tmp_path):
    draw_task(tmp_path, "vehicles", {"train": 5, "car": 5})
    (task,) = opened(tmp_path).tasks
    assert task.class_names == ("car", "train")


def test_junk_of_systems_is_passed_over(tree):
    for name in (".DS_Store", "Thumbs.db"):
        (tree / "cars" / "mini" / name).write_bytes(b"x")
    (tree / "__MACOSX").mkdir()
    (tree / "notes.txt").write_text("x")
    assert len(opened(tree)) == 2


def test_images_of_every_kind_are_read_right(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 6, 3), np.uint8)
    folder = tmp_path / "my/a/train/x"
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # Orientation: turn by 90 degrees, clockwise.
    turned = np.rot90(pixels).copy()
    save(folder / "0_rgb.PNG", pixels)
    save(folder / "1_exif.png", turned, exif=exif)
    save(folder / "2_bmp.bmp", pixels)
    save(folder / "3_webp.webp", pixels, lossless=True)
    save(folder / "4_rgba.png", pixels, mode="RGBA")
    save(folder / "5_grey.png", pixels[..., 0])
    save(folder / "6_deep.png", pixels[..., 0].astype(np.uint16) * 257)
    save(folder / "7_palette.gif", pixels[..., 0])
    flat = np.full((9, 6, 3), (200, 40, 90), np.uint8)
    save(folder / "8_cmyk.jpg", flat, mode="CMYK", quality=100)
    draw_task(tmp_path / "my", "a", {"y": 1}, ("train",))
    draw_task(tmp_path / "my", "a", {"x": 1, "y": 1}, ("val", "test"))
    (task,) = opened(tmp_path / "my", image_size=(9, 6)).tasks
    grey = np.repeat(pixels[..., :1], 3, -1)
    for found, wanted in zip(task.train.images, [pixels] * 5 + [grey] * 3):
        np.testing.assert_array_equal(found, wanted)
    # JPEG and the inks of CMYK are not exact.
    assert np.abs(task.train.images[8].astype(int) - flat).max() <= 6


@pytest.mark.parametrize("resize", ["stretch", "crop"])
@pytest.mark.parametrize("channels", [1, 3])
def test_training_and_serving_see_the_same(tmp_path, resize, channels):
    draw_task(tmp_path, "a", {"x": 2, "y": 1}, _SPLITS, size=(40, 23))
    (task,) = opened(
        tmp_path,
        image_size=(16, 12),
        resize=resize,
        channels=channels,
    ).tasks
    assert task.train.image_shape == (16, 12, channels)
    image = read_image(tmp_path / "a/train/x/1.png")
    served = task.preprocessing(image[None])
    trained = task.train.images[1] / np.float32(255.0)
    trained = (trained - task.train.mean) / task.train.std
    np.testing.assert_allclose(served[0], trained, atol=1e-5)


@pytest.mark.parametrize(
    ("statistics", "mean", "std"),
    [
        ("none", [0.0] * 3, [1.0] * 3),
        ((0.5, 0.25), [0.5] * 3, [0.25] * 3),
        (((0.1, 0.2, 0.3), (1.0, 2.0, 3.0)), [0.1, 0.2, 0.3], [1, 2, 3]),
    ],
)
def test_constants_can_be_given(tree, statistics, mean, std):
    task = opened(tree, statistics=statistics).tasks[0]
    for split in (task.train, task.validation, task.test):
        np.testing.assert_allclose(split.mean, [mean])
        np.testing.assert_allclose(split.std, [std])
    np.testing.assert_allclose(task.preprocessing.mean, mean)


def test_training_images_standardise_every_split(tree):
    task = opened(tree).tasks[0]
    pixels = task.train.images.reshape(-1, 3) / 255.0
    np.testing.assert_allclose(task.test.mean[0], pixels.mean(0), atol=1e-6)
    np.testing.assert_allclose(task.test.std[0], pixels.std(0), atol=1e-6)


def test_each_split_can_be_standardised_by_itself(tree):
    for task in opened(tree, statistics="split").tasks:
        for split in (getattr(task, name) for name in _SPLITS):
            pixels = split.images.reshape(-1, 3) / 255.0
            np.testing.assert_allclose(split.mean[0], pixels.mean(0), atol=1e-6)


def test_large_tasks_stay_in_their_files(tree):
    """More than fits: birds has 15 images, cars 30; of 360 bytes each."""
    birds, cars = opened(tree).tasks
    one, other = opened(tree, memory=MemoryLimits(task=15 * 360)).tasks
    assert isinstance(one.train.images, np.ndarray)
    assert isinstance(other.train.images, image_files.ImageFiles)
    assert images_of(other.train) == images_of(cars.train)
    limited = MemoryLimits(stream=15 * 360)
    one, other = opened(tree, memory=limited).tasks
    assert one.fingerprint() == birds.fingerprint()
    assert type(other.train.images) is CachedImages
    np.testing.assert_array_equal(other.train.images[:], cars.train.images)
    np.testing.assert_array_equal(other.train.mean, cars.train.mean)
    again = opened(tree, memory=limited).tasks[1]
    assert again.fingerprint() == other.fingerprint()
    with gin.unlock_config():
        gin.bind_parameter("MemoryLimits.stream", 15 * 360)
    try:
        bound = opened(tree).tasks[1]
    finally:
        gin.clear_config()
    assert type(bound.train.images) is CachedImages
    with pytest.raises(ValueError, match="`stream` must be a number of bytes"):
        MemoryLimits(stream=-1)


def test_a_task_is_held_once(tree):
    """Not a second time while its images are sorted into splits."""
    task = opened(tree).tasks[0]
    splits = [getattr(task, name).images for name in _SPLITS]
    bases = {id(images.base) for images in splits}
    assert len(bases) == 1 and None not in bases
    assert splits[0].base.nbytes == 15 * 360


def test_rows_are_moved_in_place():
    generator = np.random.default_rng(0)
    for count in (1, 2, 7, 30):
        array = generator.integers(0, 255, (count, 2, 3), np.uint8)
        before = array.copy()
        wanted = generator.permutation(count)[: max(1, count - 2)]
        move_rows(array, wanted)
        np.testing.assert_array_equal(array[: len(wanted)], before[wanted])


def test_training_images_are_decoded_once_for_all_statistics(tree, monkeypatch):
    """Beside the reading, which finds what is no image."""
    decoded = []
    images = image_files.ImageFiles.__getitem__

    def counting(self, rows):
        found = images(self, rows)
        decoded.append(len(found))
        return found

    monkeypatch.setattr(image_files.ImageFiles, "__getitem__", counting)
    tasks = opened(tree, in_memory=False).tasks
    assert sum(decoded) == sum(len(task.train) for task in tasks)
    decoded.clear()
    tasks = opened(tree, in_memory=False, statistics="split").tasks
    assert sum(decoded) == sum(
        len(getattr(task, name)) for task in tasks for name in _SPLITS
    )


def test_images_may_stay_in_their_files(tree):
    held, left = (opened(tree, in_memory=m).tasks for m in (True, False))
    for one, other in zip(held, left):
        for name in _SPLITS:
            split, files = getattr(one, name), getattr(other, name)
            np.testing.assert_array_equal(files.mean, split.mean)
            np.testing.assert_array_equal(files.std, split.std)
            assert isinstance(files.images, image_files.ImageFiles)
            assert files.images.shape == split.images.shape
            assert len(files.images) == len(split)
            order = np.arange(len(split))[::-1].repeat(2)
            np.testing.assert_array_equal(
                files.images[order], split.images[order]
            )


def test_changed_files_change_the_fingerprint(tree):
    first, again = (opened(tree, in_memory=False).tasks[0] for _ in range(2))
    assert first.fingerprint() == again.fingerprint()
    image = tree / "birds/train/robin/1.png"
    PIL.Image.new("RGB", (9, 9), (1, 2, 3)).save(image)
    changed = opened(tree, in_memory=False).tasks[0]
    assert changed.fingerprint() != first.fingerprint()


def test_a_file_that_breaks_later_is_named(tree):
    task = opened(tree, in_memory=False).tasks[0]
    (tree / "birds/train/robin/1.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="robin/1.png' is no readable.*again"):
        task.train.images[np.arange(5)]


# Mistakes


def break_image(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (break_image, "1.png' is no readable image"),
        (lambda p: p.write_bytes(b""), "1.png' is no readable image: it is"),
        (lambda p: p.write_bytes(b"text"), "1.png' is no readable image"),
        (lambda p: p.rename(p.with_suffix(".tga")), "1.tga' has none of the"),
        (lambda p: p.rename(p.with_suffix("")), "1' has none of the endings"),
    ],
    ids=["cut", "empty", "text", "unknown ending", "no ending"],
)
def test_bad_files_stop_or_are_counted(tree, change, message, caplog):
    path = tree / "birds/train/magpie/1.png"
    wanted = [read_image(path.with_name(f"{k}.png")) for k in (0, 2)]
    change(path)
    found = fault(tree)
    assert str(path.parent) in found and message in found
    assert "on_bad_image = 'skip'" in found
    task = opened(tree, on_bad_image="skip").tasks[0]
    np.testing.assert_array_equal(task.train.images[:2], wanted)
    assert len(task.train) == 4
    assert "Left out 1 file(s)" in caplog.text and message in caplog.text


def test_large_photographs_are_read_one_at_a_time(tree, monkeypatch):
    monkeypatch.setattr(image_files, "_LARGE", 200_000)
    # Black at the left, white at the right.
    ramp = np.linspace(0, 255, 600).astype(np.uint8)
    pixels = np.broadcast_to(ramp[None, :, None], (400, 600, 3))
    for name in "xy":
        save(tree / f"birds/train/magpie/{name}.jpg", pixels, quality=95)
    task = opened(tree, tasks=["birds"]).tasks[0]
    found = task.train.images[3]
    np.testing.assert_array_equal(found, task.train.images[4])
    wanted = (np.arange(12) + 0.5) * 255 / 12
    assert np.abs(found - wanted[None, :, None]).max() <= 3


def test_a_bomb_is_refused(tree):
    # 20000 x 20000 pixels in some 50 kB.
    path = tree / "birds/train/magpie/1.png"
    PIL.Image.new("1", (20000, 20000)).save(path)
    assert path.stat().st_size < 1e5
    assert "1.png' is no readable image: Image size" in fault(tree)


@pytest.mark.parametrize("left_out", [False, True])
def test_an_image_in_two_splits_is_found_by_its_content(tree, left_out):
    copy = tree / "birds/train/magpie/9.png"
    copy.write_bytes((tree / "birds/test/robin/0.png").read_bytes())
    if left_out:
        task = opened(tree, on_bad_image="skip").tasks[0]
        sizes = [len(getattr(task, s)) for s in _SPLITS]
        assert sizes == [5, 5, 5]  # Not in train.
    else:
        found = fault(tree)
        assert "train/magpie/9.png' (train) has the same content" in found
        assert "test/robin/0.png' (test)" in found


def test_copies_stay_together_when_a_split_is_cut(tmp_path):
    draw_task(tmp_path, "a", {"x": 12, "y": 12})
    for k in range(12):
        path = tmp_path / f"a/x/{k}.png"
        (tmp_path / f"a/x/copy_{k}.png").write_bytes(path.read_bytes())
    (task,) = opened(tmp_path).tasks
    parts = [images_of(getattr(task, s)) for s in _SPLITS]
    assert not (parts[0] & parts[1] or parts[0] & parts[2])
    assert not parts[1] & parts[2]
    assert [len(getattr(task, s)) for s in _SPLITS] == [27, 3, 6]


def test_too_few_images_to_cut_from(tmp_path):
    draw_task(tmp_path, "a", {"x": 1, "y": 5})
    found = fault(tmp_path)
    assert "Task 'a', class 'x': 1 image(s), at least 3 are needed" in found
    assert "it also gives the test and validation images" in found
    draw_task(tmp_path, "a", {"x": 2}, size=(3, 3))
    draw(tmp_path / "a/x/2.png").write_bytes(
        (tmp_path / "a/x/1.png").read_bytes()
    )
    assert "2 image(s), the same ones counted once" in fault(tmp_path)


def test_a_class_without_an_image(tree):
    for path in (tree / "birds/train/robin").iterdir():
        path.unlink()
    assert "class 'robin': 0 image(s), at least 1 are" in fault(tree)


def test_a_class_that_is_not_tested_is_told(tree, caplog):
    for path in (tree / "birds/test/robin").iterdir():
        path.unlink()
    assert opened(tree).tasks[0].num_classes == 2
    assert "Task 'birds', split 'test': no image of robin" in caplog.text


@pytest.mark.parametrize(
    ("make", "messages"),
    [
        (lambda t: (t / "empty").mkdir(), ["empty' holds no folder of a cl"]),
        (
            lambda t: (t / "birds/train/Robin").mkdir(),
            ["classes 'Robin' and 'robin' differ by capitals only"],
        ),
        (
            lambda t: draw(t / "Birds/x/1.png"),
            ["the tasks 'Birds' and 'birds' differ by capitals"],
        ),
        (
            lambda t: draw(t / "birds/test/Robin/1.png"),
            ["differ by capitals"],
        ),
        (
            lambda t: draw(t / "birds/test/owl/1.png"),
            ["split 'test': class 'owl' is not among those to learn"],
        ),
        (
            lambda t: draw(t / "birds/owl/1.png"),
            ["birds/owl' lies beside folders of splits"],
        ),
        (
            lambda t: draw(t / "birds/val/robin/1.png"),
            ["both mean the validation split"],
        ),
        (
            lambda t: draw(t / "cars/mini/old/1.png"),
            ["mini/old' is a folder inside of a class's folder"],
        ),
        (
            lambda t: draw(t / "cars/1.png"),
            ["cars/1.png' lies outside of a class's folder"],
        ),
        (
            lambda t: draw(t / "planes/jet/1.png"),
            ["planes' holds the class 'jet' alone", "at least two"],
        ),
        (
            lambda t: (t / "birds/train").rename(t / "birds/training"),
            ["birds/training' lies beside folders of splits"],
        ),
        (
            lambda t: draw_task(t, "a", {"x": 1, "y": 1}, ("test",)),
            ["a' holds no train, from which to learn"],
        ),
        (
            lambda t: (t / "birds/train.txt").write_text("x 1"),
            ["holds lists and folders of splits"],
        ),
    ],
)
def test_mistakes_of_layout_are_named(tree, make, messages):
    make(tree)
    found = fault(tree)
    for message in messages:
        assert message in found


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("1.png\n", "train.txt', line 1: a line is 'path label'"),
        ("\n\n", "train.txt' lists no image"),
        ("1.png 0\n2.png 1\n", "2.png' (line 2 of '"),
        ("1.png 0\ntrain.txt 1\n", "train.txt' has none of the endings"),
        ("1.png 0\n", "holds the class '0' alone"),
    ],
)
def test_mistakes_in_lists_are_named(tmp_path, lines, message):
    draw(tmp_path / "a/1.png")
    (tmp_path / "a/train.txt").write_text(lines)
    assert message in fault(tmp_path)


def test_a_list_that_is_no_text(tmp_path):
    draw(tmp_path / "a/1.png")
    (tmp_path / "a/train.txt").write_bytes(b"\xff\xfe1\x00")
    assert "train.txt' cannot be read" in fault(tmp_path)


def test_roots_that_hold_no_tasks(tmp_path):
    assert "absent' is no folder" in fault(tmp_path / "absent")
    assert "holds no folder of a task" in fault(tmp_path)
    draw_task(tmp_path, ".", {"x": 2, "y": 2}, _SPLITS)
    assert "holds the splits of one task" in fault(tmp_path)


def test_what_may_not_be_read_is_named(tree):
    listed = pathlib.Path.iterdir

    def refused(path):
        if path.name == "mini":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    with mock.patch.object(pathlib.Path, "iterdir", refused):
        found = fault(tree)
    assert "cars/mini' cannot be read (Permission denied)" in found
    assert "chmod" in found
    read = os.open

    def locked(path, *arguments, **options):
        if os.fspath(path).endswith("1.png"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return read(path, *arguments, **options)

    with mock.patch.object(os, "open", locked):
        assert "1.png' cannot be read: Permission denied" in fault(tree)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 0}, "`image_size`.*image_size=0"),
        ({"image_size": (8,)}, "`image_size`"),
        ({"resize": "fit"}, "`resize`.*resize='fit'"),
        ({"channels": 4}, "`channels`.*channels=4"),
        ({"on_bad_image": "x"}, "`on_bad_image`"),
        ({"validation_fraction": 0.0}, "`validation_fraction`"),
        ({"test_fraction": 0.9}, "their sum must be below 1"),
        ({"statistics": "all"}, "`statistics`.*statistics='all'"),
        ({"statistics": 0.5}, "`statistics`.*a pair"),
        ({"statistics": (0.5,)}, "`statistics`.*a pair"),
        ({"statistics": ((0.5, 0.5), 1.0)}, "`statistics`"),
    ],
)
def test_arguments_are_checked(tree, arguments, message):
    with pytest.raises(ValueError, match=message):
        opened(tree, **arguments)


def test_a_task_smaller_than_a_batch_takes_all_it_has_and_is_told(
    tree, monkeypatch
):
    said = []
    monkeypatch.setattr(
        logging, "warning", lambda text, *args: said.append(text % args)
    )
    stream = folder_stream(str(tree), 8, batch_size=6)
    assert stream.tasks[0].batch_size == 5
    assert said == [
        "Task 'birds' has 5 training examples, fewer than batch_size=6: each "
        "of its steps takes all of them."
    ]
