"""Names in a folder of tasks, and where its lists may lead."""

import os
import pathlib
import sys
import unicodedata

import pytest

from tests.testing.folders import draw, draw_task
from tfcl.data_builders.image_folders.image_tree import find_images
from tfcl.data_builders.image_folders.tree_faults import BadImages, TreeError

_NFC = unicodedata.normalize("NFC", "élster")
_NFD = unicodedata.normalize("NFD", "élster")
_BYTES = pytest.mark.skipif(
    sys.platform != "linux", reason="names are texts on this system"
)


def found(root, **options):
    return find_images(root, BadImages(), **options)


def fault(root, **options):
    with pytest.raises(TreeError) as caught:
        found(root, **options)
    message = str(caught.value)
    message.encode()  # It can be printed.
    assert "\n" not in message
    return message


# Names


@_BYTES
@pytest.mark.parametrize("place", ["a/train", "a", "."])
def test_a_folder_called_in_latin_1_is_refused_by_name(tmp_path, place):
    draw_task(tmp_path, "a", {"x": 1, "y": 1}, ("train",))
    if place == "a":
        draw_task(tmp_path, "a", {"x": 1, "y": 1})
        for path in (tmp_path / "a/train").rglob("*.png"):
            path.unlink()
        for path in (tmp_path / "a/train/x", tmp_path / "a/train/y"):
            path.rmdir()
        (tmp_path / "a/train").rmdir()
    folder = os.fsencode(tmp_path / place) + b"/caf\xe9"
    os.mkdir(folder)
    message = fault(tmp_path)
    assert "caf\\xe9' is not in UTF-8" in message
    assert "Rename it" in message


@_BYTES
def test_an_image_called_in_latin_1_is_read(tmp_path):
    draw_task(tmp_path, "a", {"x": 1, "y": 1}, ("train",))
    name = os.fsdecode(b"caf\xe9.png")
    draw(tmp_path / "a/train/x" / name)
    paths = found(tmp_path)["a"]["train"]["x"]
    assert [path.name for path in paths] == ["0.png", name]


def test_both_forms_of_a_class_name_are_one_class_across_splits(tmp_path):
    draw_task(tmp_path, "a", {_NFD: 2, "x": 1}, ("train",))
    draw_task(tmp_path, "a", {_NFC: 1, "x": 1}, ("test",))
    splits = found(tmp_path)["a"]
    # Called as in train.
    assert set(splits["train"]) == set(splits["test"]) == {_NFD, "x"}
    assert len(splits["test"][_NFD]) == 1


def test_both_forms_of_a_name_in_one_place_are_refused(tmp_path):
    if sys.platform == "darwin":
        pytest.skip("this file system takes them for one")
    draw_task(tmp_path, "a", {_NFD: 1, _NFC: 1}, ("train",))
    message = fault(tmp_path)
    assert "the form of their letters (Unicode's NFC and NFD) only" in message
    assert "\\xe9lster" in message and "e\\u0301lster" in message
    (tmp_path / "b").mkdir()
    draw(tmp_path / "b/1.png")
    (tmp_path / "b/train.txt").write_text(f"1.png {_NFC}\n1.png {_NFD}\n")
    assert "Unicode's NFC" in fault(tmp_path, tasks=["b"])


def test_a_task_is_found_by_either_form_of_its_name(tmp_path):
    draw_task(tmp_path, _NFD, {"x": 1, "y": 1}, ("train",))
    for name in (_NFC, _NFD):
        assert list(found(tmp_path, tasks=[name])) == [_NFC]
    assert list(found(tmp_path)) == [_NFC]


# Lists


def listed(root, *lines):
    """A task that is a list; images lie in it, beside it and outside."""
    for path in ("my/a/0.png", "my/a/1.png", "my/b/2.png", "out.png"):
        draw(root / path)
    text = ["0.png x", "1.png y", *lines]
    (root / "my/a/train.txt").write_text("\n".join(text))
    return root / "my"


@pytest.mark.parametrize(
    "path", ["../../out.png", "b/../../../out.png", "{root}/out.png", "/dev/x"]
)
def test_a_list_may_not_lead_out_of_the_folder(tmp_path, path):
    path = path.format(root=tmp_path)
    root = listed(tmp_path, f"{path} x")
    message = fault(root, tasks=["a"])
    assert f"train.txt', line 3: '{root}/a/" in message or path in message
    assert f"leads out of '{root}'" in message
    assert "lists_may_leave_root = True" in message


def test_a_list_may_lead_out_if_that_is_asked_for(tmp_path):
    root = listed(tmp_path, "../../out.png x")
    splits = found(root, tasks=["a"], leave_root=True)["a"]
    assert [path.name for path in splits["train"]["x"]] == ["0.png", "out.png"]


def test_a_list_may_name_other_folders_inside(tmp_path, monkeypatch):
    root = listed(tmp_path, "../b/2.png x", f"{tmp_path}/my/b/2.png y")
    monkeypatch.chdir(tmp_path)
    for each in (root, pathlib.Path("my"), pathlib.Path("./my/../my")):
        assert len(found(each, tasks=["a"])["a"]["train"]["x"]) == 2


def test_a_list_may_name_the_folder_that_a_link_leads_to(tmp_path):
    root = listed(tmp_path, f"{tmp_path}/my/b/2.png x")
    link = tmp_path / "link"
    link.symlink_to(root)
    assert len(found(link, tasks=["a"])["a"]["train"]["x"]) == 2


@pytest.mark.parametrize("line", ["a\0b.png x", "x" * 5000 + ".png x"])
def test_paths_that_cannot_be_are_told(tmp_path, line):
    assert "does not exist" in fault(listed(tmp_path, line), tasks=["a"])


@pytest.mark.skipif(os.name != "posix", reason="has no named pipes")
def test_a_list_that_is_a_pipe_does_not_hang(tmp_path):
    draw(tmp_path / "a/1.png")
    os.mkfifo(tmp_path / "a/train.txt")
    assert "it is a named pipe" in fault(tmp_path)
    (tmp_path / "a/train.txt").unlink()
    (tmp_path / "a/train.txt").symlink_to("/dev/zero")
    assert "it is a device" in fault(tmp_path)
