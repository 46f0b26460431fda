"""Finding and reading what a user supplies."""

import hashlib
import json
import pathlib
import types

import pytest

from tfcl.data_builders import image_files, leaf, manual_files
from tfcl.data_builders.manual_files import DataFileError


def test_find_takes_the_first_that_has_the_marker(tmp_path):
    for name in ("a", "b/x", "c/x"):
        (tmp_path / name).mkdir(parents=True)
    found = manual_files.find(tmp_path, "a", "b", "c", marker="x")
    assert found == tmp_path / "b"
    with pytest.raises(FileNotFoundError, match="has neither 'a/y' nor 'b/y'$"):
        manual_files.find(tmp_path, "a", "b", marker="y")


def test_tree_names_folders_and_archives_that_would_do(tmp_path):
    manager = types.SimpleNamespace(manual_dir=tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        manual_files.tree(manager, "x", archives=[("x.zip", None)])
    assert str(caught.value) == f"'{tmp_path}' has neither 'x.zip' nor 'x'"
    with pytest.raises(FileNotFoundError, match=r"'d' \(nor at 2 other places"):
        manual_files.find(tmp_path, "b", "c", "d", "e", "f")


def test_archives_with_another_checksum_are_not_unpacked(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"damaged")
    (tmp_path / "out/x").mkdir(parents=True)
    manager = types.SimpleNamespace(
        manual_dir=tmp_path, extract=lambda path: tmp_path / "out"
    )

    def tree(sha256):
        return manual_files.tree(manager, "x", archives=[("x.zip", sha256)])

    with pytest.raises(DataFileError, match="x.zip' has the checksum .*0000"):
        tree("0" * 64)
    right = hashlib.sha256(b"damaged").hexdigest()
    assert tree(right) == tree(None) == tmp_path / "out/x"


def test_counts_are_compared_where_they_are_known():
    manual_files.check_count(3, None, "images", "x")
    manual_files.check_count(3, 3, "images", "x")
    with pytest.raises(DataFileError, match="'x' holds 3 im.* has 1,000: com"):
        manual_files.check_count(3, 1000, "images", "x")


def test_parts_of_a_release_are_taken_where_they_are_accepted(tmp_path):
    with pytest.raises(DataFileError, match="complete it"):
        manual_files.check_whole(3, 1000, "images", "x")
    (tmp_path / "b").touch()
    listed = [image_files.Image(name, tmp_path / name, 0) for name in "abc"]
    with manual_files.parts_accepted():
        manual_files.check_whole(3, 1000, "images", "x")
        for wrong in (0, 1001):
            with pytest.raises(DataFileError, match="the release has 1,000"):
                manual_files.check_whole(wrong, 1000, "images", "x")
        assert manual_files.present(listed, "x") == listed[1:2]
        with pytest.raises(FileNotFoundError, match="none of the 1 listed"):
            manual_files.present(listed[:1], "x")
    assert manual_files.present(listed, "x") is listed
    with pytest.raises(FileNotFoundError, match="gone"):
        manual_files.lacking(FileNotFoundError("gone"))


def test_a_path_that_is_known_already_is_not_joined(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "manual/devkit").mkdir(parents=True)
    root = pathlib.Path("manual")
    found = manual_files.find(root, "absent", root / "devkit")
    assert found == root / "devkit"


def test_tables_may_have_any_ends_of_lines_and_a_mark(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n3,4")
    assert manual_files.table(path, ("b",)) == [
        {"a": "1", "b": "2"},
        {"a": "3", "b": "4"},
    ]
    path.write_bytes(b"1 x\r\n2\ty\r\n")
    assert manual_files.fields(path, 2) == [["1", "x"], ["2", "y"]]


@pytest.mark.parametrize(
    "text,fault",
    [
        ("a,c\n1,2\n", "lacks the columns b; its header is a, c"),
        ("", "lacks the columns a, b; its header is empty"),
        ("a,b\n1,2\n3\n", "line 3 is cut off"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, text, fault):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(DataFileError, match=f"x.csv' {fault}"):
        manual_files.table(path, ("a", "b"))


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="file '.*none' is missing"):
        manual_files.content(tmp_path / "none")
    with pytest.raises(DataFileError, match="' cannot be read .Is a directory"):
        manual_files.content(tmp_path)


def test_other_fields_and_texts_are_refused(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("1 2\n3\n")
    with pytest.raises(DataFileError, match="line 2 has 1 fields where 2 are"):
        manual_files.fields(path, 2)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataFileError, match="x.txt' is no UTF-8 text"):
        manual_files.lines(path)


_USER = {"x": [[0.5], [1.0]], "y": [3.0, 61]}


def test_leaf_users_keep_the_order_of_the_file(tmp_path):
    path = tmp_path / "x.json"
    users = {"b": _USER, "a": {"x": [], "y": []}}
    content = {"users": ["b", "a"], "num_samples": [2, 0], "user_data": users}
    path.write_text(json.dumps(content))
    assert leaf.load(path) == [("b", _USER["x"], [3, 61]), ("a", [], [])]


@pytest.mark.parametrize(
    "text,fault",
    [
        ('{"users": ["a"], "num', "no whole LEAF file"),
        ('{"users": ["a"], "num_samples": [1]}', "no whole LEAF file"),
        ("[]", "no whole LEAF file"),
        (
            '{"users": ["a"], "user_data": {"a": {"x": [], "y": []}}}',
            "no whole",
        ),
        (
            '{"users": ["a"], "num_samples": [2], '
            '"user_data": {"a": {"x": [1], "y": [1]}}}',
            "user a has 1 samples and 1 labels where 2 are stated",
        ),
    ],
)
def test_damaged_leaf_files_are_refused(tmp_path, text, fault):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataFileError, match=f"x.json'.*{fault}"):
        leaf.load(path)
