"""Image files: what is read, cut, listed, refused."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfcl.data_builders import dummy_images, image_files
from tfcl.data_builders.manual_files import DataFileError


def _saved(path, kind, mode="RGB"):
    """An image of 9 x 6 pixels that differ, saved by Pillow."""
    levels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    image = Image.fromarray(levels).convert(mode)
    image.save(path, kind)
    return np.asarray(image.convert("RGB"))


def _decoded(file):
    return tf.io.decode_image(file.read(), channels=3).numpy()


@pytest.mark.parametrize("kind,mode", [("JPEG", "RGB"), ("PNG", "L")])
def test_jpeg_and_png_files_are_taken_unchanged(tmp_path, kind, mode):
    path = tmp_path / "x.jpg"
    _saved(path, kind, mode)
    assert image_files.read(path).read() == path.read_bytes()


def test_cmyk_and_grey_are_read_in_colours(tmp_path):
    path = tmp_path / "x.jpg"
    _saved(path, "JPEG", "CMYK")
    assert _decoded(image_files.read(path)).shape == (6, 9, 3)
    grey = _saved(path, "PNG", "L")
    np.testing.assert_array_equal(_decoded(image_files.read(path)), grey)


@pytest.mark.parametrize("kind", ["BMP", "GIF", "WEBP"])
def test_other_formats_become_png(tmp_path, kind):
    path = tmp_path / "x.webp"
    _saved(path, kind)
    encoded = image_files.read(path).read()
    assert encoded.startswith(b"\x89PNG")
    assert _decoded(io.BytesIO(encoded)).shape == (6, 9, 3)


@pytest.mark.parametrize(
    "box,expected",
    [
        ((1, 2, 5, 4), np.s_[2:4, 1:5]),
        ((-3, 0, 99, 2), np.s_[0:2, :]),
        ((8, 5, 9, 6), np.s_[5:6, 8:9]),
    ],
)
def test_boxes_are_cut_without_loss(tmp_path, box, expected):
    path = tmp_path / "x.png"
    pixels = _saved(path, "PNG")
    cut = _decoded(image_files.read(path, box))
    np.testing.assert_array_equal(cut, pixels[expected])


@pytest.mark.parametrize("box", [(9, 0, 12, 3), (4, 4, 4, 5), (5, 5, 2, 6)])
def test_boxes_outside_are_refused(tmp_path, box):
    path = tmp_path / "x.png"
    _saved(path, "PNG")
    with pytest.raises(DataFileError, match="outside '.*x.png', .* 9 x 6"):
        image_files.read(path, box)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("kept", [0, 10, -4])
def test_truncated_images_are_refused(tmp_path, kind, kept):
    path = tmp_path / "x.jpg"
    _saved(path, kind)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataFileError, match="x.jpg' is no image or is cut"):
        image_files.read(path)


def _tree(root, *names):
    for name in names:
        dummy_images.write(root / name)
    return root


def test_classes_are_found_by_name_whatever_its_capitals(tmp_path):
    split = _tree(
        tmp_path, "alarm clock/2.jpg", "alarm clock/1.PNG", "T_V/0.jpg"
    )
    (split / "T_V/._0.jpg").write_bytes(b"of macOS")
    (split / "T_V/Thumbs.db").write_bytes(b"of Windows")
    (split / "readme.txt").write_text("no class")
    names = ("Alarm_Clock", "Bed", "T/V")
    found = image_files.in_class_folders(split, names, "train")
    assert [(p.id, p.label) for p in found] == [
        ("train/T_V/0.jpg", 2),
        ("train/alarm clock/1.PNG", 0),
        ("train/alarm clock/2.jpg", 0),
    ]


@pytest.mark.parametrize(
    "folders,labels",
    [
        (("001.a", "3", "2-any name"), {"001.a": 0, "2-any name": 1, "3": 2}),
        (("0", "1", "c"), {"0": 0, "1": 1, "c": 2}),
    ],
)
def test_numbered_folders_stand_for_classes(tmp_path, folders, labels):
    split = _tree(tmp_path, *(f"{name}/x.jpg" for name in folders))
    found = image_files.in_class_folders(
        split, ("a", "b", "c"), "train", numbered=True
    )
    assert {p.path.parent.name: p.label for p in found} == labels


@pytest.mark.parametrize(
    "folder,numbered", [("cat", True), ("4", True), ("12", False)]
)
def test_folders_of_no_class_are_refused(tmp_path, folder, numbered):
    split = _tree(tmp_path, f"{folder}/x.jpg")
    with pytest.raises(DataFileError, match=f"{folder}' is none of the 3"):
        image_files.in_class_folders(
            split, ("a", "b", "c"), "train", numbered=numbered
        )


def test_ranks_need_every_class(tmp_path):
    split = _tree(tmp_path, "b/x.jpg", "a b/x.jpg", "c/x.jpg")
    found = image_files.in_ranked_folders(split, 3, "train")
    assert [p.more["class_name"] for p in found] == ["a b", "b", "c"]
    assert [p.label for p in found] == [0, 1, 2]
    with pytest.raises(DataFileError, match="has 3 folders where 4 classes"):
        image_files.in_ranked_folders(split, 4, "train")


def test_empty_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder '.*none'"):
        image_files.in_class_folders(tmp_path / "none", ("a",), "train")
    with pytest.raises(FileNotFoundError, match="no folder in '"):
        image_files.in_class_folders(tmp_path, ("a",), "train")
    (tmp_path / "a").mkdir()
    with pytest.raises(FileNotFoundError, match="no image in '.*a'"):
        image_files.in_class_folders(tmp_path, ("a",), "train")
