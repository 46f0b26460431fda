"""Files that a user names one by one, by folders, or on standard input."""

import pytest

from tfcl.errors import UserError
from tfcl.learner.asking.image_paths import class_folders, image_paths


def _made(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_folders_are_gone_through_in_order(tmp_path):
    _made(tmp_path, "b.JPG", "a/z.png", "a/b/c.webp", "notes.txt")
    _made(tmp_path, ".hidden.png", ".cache/d.png")
    (tmp_path / "a" / "circle").symlink_to(tmp_path)
    found = image_paths([str(tmp_path)], ())
    wanted = ["a/b/c.webp", "a/z.png", "b.JPG"]
    assert found == [str(tmp_path / name) for name in wanted]


def test_files_stay_as_they_are_named(tmp_path):
    """Also those that do not exist: who opens them says it."""
    assert image_paths(["x.txt", "./y.png"], ()) == ["x.txt", "./y.png"]


def test_a_dash_is_the_lines_of_standard_input(tmp_path):
    _made(tmp_path, "d/e.png")
    lines = iter(["b c.png\n", "\n", f"{tmp_path / 'd'}\r\n", "-\n"])
    found = image_paths(["a.png", "-", "z.png"], lines)
    inside = str(tmp_path / "d" / "e.png")
    assert found == ["a.png", "b c.png", inside, "z.png"]


def test_standard_input_is_not_read_unasked():
    def lines():
        raise AssertionError("read")
        yield

    assert image_paths(["a.png"], lines()) == ["a.png"]


def test_a_folder_without_images_is_refused(tmp_path):
    _made(tmp_path, "notes.txt")
    with pytest.raises(UserError, match="holds no image: no file ends in .jpg"):
        image_paths([str(tmp_path)], ())
    with pytest.raises(UserError, match="only paths of this machine"):
        image_paths(["-"], ["https://a.b/c.png"])


def test_classes_are_sub_folders(tmp_path):
    _made(tmp_path, "cat/1.png", "cat/more/2.png", "dog/1.png", "readme.txt")
    _made(tmp_path, "a\u0308hre/1.png", ".git/1.png")
    found = class_folders(tmp_path)
    # As tasks of folders are called.
    assert set(found) == {"\u00e4hre", "cat", "dog"}
    assert len(found["cat"]) == 2


def test_what_is_no_folder_of_classes_is_refused(tmp_path):
    with pytest.raises(UserError, match="is no folder"):
        class_folders(tmp_path / "absent")
    _made(tmp_path, "1.png")
    with pytest.raises(UserError, match="has no sub-folders"):
        class_folders(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(UserError, match="cat holds no image"):
        class_folders(tmp_path)
