"""Files are the old ones or the new ones, also on a full disk."""

import numpy as np
import pytest

from tests.testing.toy_run import disk_limit
from tfcl.engine.storage.npz import from_npz, to_npz
from tfcl.files import read_json, sweep, write_atomically, write_json

ARRAYS = {
    "conv_0/kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "head/columns": np.array([0, 1, 2], np.int32),
    "count": np.float32(7.0),
}


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "folder" / "file.txt"
    write_atomically(path, "old")
    with disk_limit(1000), pytest.raises(OSError, match="folder/file.txt"):
        write_atomically(path, "x" * 2000)
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_a_failed_rename_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    write_atomically(path, b"old")
    monkeypatch.setattr("os.replace", _fail)
    with pytest.raises(OSError, match="no rename"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_only_what_a_kill_has_left_of_this_program_is_swept(tmp_path):
    kept = [".notes.tmp", "mine.tmp", ".a.b.ABCDEFGH.tmp", ".lock", ".x.tmp/a"]
    for name in kept:
        write_atomically(tmp_path / "tasks" / name, "kept")
    with pytest.raises(KeyboardInterrupt):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("os.replace", _kill)
            patch.setattr("pathlib.Path.unlink", lambda *_, **__: None)
            write_atomically(tmp_path / "tasks" / "results.json", "half")
    assert len(list((tmp_path / "tasks").iterdir())) == len(kept) + 1
    sweep(tmp_path)
    found = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert sorted(found) == sorted(tmp_path / "tasks" / name for name in kept)


def _kill(*_):
    raise KeyboardInterrupt


def _fail(*_):
    raise OSError(5, "no rename")


def test_json_keeps_every_number_and_refuses_nan(tmp_path):
    path = tmp_path / "file.json"
    value = {"a": [0.1, 1e-300, 3], "names": ["grün", None, True]}
    write_json(path, value)
    assert read_json(path) == value
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == value


def test_arrays_come_back_and_always_have_the_same_bytes():
    content = to_npz(ARRAYS)
    assert to_npz(dict(ARRAYS)) == content
    found = from_npz(content)
    assert found.keys() == ARRAYS.keys()
    for name, value in ARRAYS.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == value.dtype


def test_damaged_arrays_are_a_value_error():
    content = to_npz(ARRAYS)
    for place in range(0, len(content), 7):
        with pytest.raises(ValueError):
            from_npz(content[:place])
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        try:
            from_npz(bytes(changed))
        except ValueError:
            continue


def test_pickled_objects_are_refused():
    content = to_npz({"a": np.array([{}, None])})
    with pytest.raises(ValueError):
        from_npz(content)
