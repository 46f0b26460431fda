"""Files are the old ones or the new ones, also on a full disk."""

import ast
import errno
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from tests.testing.toy_run import disk_limit
from tfcl import commands
from tfcl.data.streams.folder_stream import folder_stream
from tfcl.engine.experiment import Experiment
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.engine.serving.written_again import mend_results
from tfcl.engine.storage.npz import from_npz, to_npz
from tfcl.errors import RunError, UserError
from tfcl.files import (
    local_path,
    read_json,
    refuse_special,
    sweep,
    way_out,
    write_atomically,
    write_json,
)
from tfcl.learner import runs
from tfcl.methods.cpg.accuracy_goals import GoalFile
from tfcl.models import start_files

_ROOT = pathlib.Path(commands.__file__).parents[1]
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


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", ["results.json", "tasks/000_a/task.json"])
def test_a_run_with_a_pipe_is_refused_and_does_not_hang(tmp_path, kind, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "gone").symlink_to("nowhere")
    path.write_text("{}")
    refuse_special(tmp_path)
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    openings = (
        refuse_special,
        runs.load_run,
        mend_results,
        lambda folder: Experiment(folder, method=None, stream=None),
        lambda folder: LearnedTasks(folder, None),
    )
    for opening in openings:
        with pytest.raises(RunError, match=f"{name} is a pipe, a device or"):
            opening(tmp_path)


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


# What a user can do about a file that cannot be written


@pytest.mark.parametrize(
    "number, told",
    [
        (errno.ENOSPC, "Make room"),
        (errno.EDQUOT, "Make room"),
        (errno.EFBIG, "Make room"),
        (errno.EPERM, "may write there"),
        (errno.EACCES, "may write there"),
        (errno.EROFS, "read-only"),
        (errno.ENOENT, "is gone: make it again"),
        (errno.ENOTDIR, "move that away"),
        (errno.EISDIR, "move that away"),
        (errno.ENAMETOOLONG, "shorter names"),
        (errno.EMFILE, "ulimit"),
        (errno.EIO, "works"),
        (errno.ESTALE, "works"),
        (errno.EINVAL, "Remove the cause"),
    ],
)
def test_every_os_error_has_its_own_way_out(number, told):
    assert told in way_out(OSError(number, os.strerror(number)))
    # TensorFlow's errors have a text alone.
    assert told in way_out(RuntimeError(f"a/b; {os.strerror(number)}"))


def test_room_is_asked_for_only_where_there_is_none():
    """No message has the advice written into it."""
    found = [
        str(path)
        for path in (_ROOT / "tfcl").rglob("*.py")
        if re.search(r"make\s+room and", path.read_text(), re.I)
    ]
    assert not found


def test_a_file_system_that_lets_no_one_change_modes_takes_files(
    tmp_path, monkeypatch
):
    def refused(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.chmod", refused)
    write_atomically(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"


# Paths of users

_PROGRAMS = ("train", "evaluate", "predict", "export", "goals", "search")
_PROGRAMS += ("compare", "build", "commands")
_NO_PATHS = {"task", "image_size"}


@pytest.mark.parametrize("url", ["gs://bucket/x", "s3://b", "file:///x"])
def test_a_url_is_refused_instead_of_becoming_a_folder(url):
    with pytest.raises(UserError, match=f"--model_dir {url}: only paths of"):
        local_path(url, "--model_dir")


def test_a_home_is_expanded_and_one_of_nobody_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_path("~/x", "a") == f"{tmp_path}/x"
    for plain in ("a/~/x", "./~", "/a", "x:y", "", "gs:/x"):
        assert local_path(plain, "a") == plain
    with pytest.raises(UserError, match=r"Write ./~nobody-here/x"):
        local_path("~nobody-here/x", "a")


@pytest.mark.parametrize(
    "name, make",
    [
        ("folder_stream.root", lambda p: folder_stream(p, image_size=8)),
        ("GoalFile.path", GoalFile),
        ("file", start_files.given),
    ],
)
def test_arguments_that_are_paths_are_no_urls(name, make):
    with pytest.raises(UserError, match=f"{name} gs://bucket/x: only paths"):
        make("gs://bucket/x")


def test_arguments_that_are_paths_may_begin_at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert GoalFile("~/goals.json").path == tmp_path / "goals.json"
    assert start_files.given("~/a.npz") == f"{tmp_path}/a.npz"
    with pytest.raises(UserError, match=f"{tmp_path}/x"):
        folder_stream("~/x", image_size=8)


@pytest.mark.parametrize("program", _PROGRAMS)
def test_every_flag_that_is_a_path_is_defined_as_one(program):
    path = _ROOT / "tfcl" / f"{program}.py"
    plain = {
        node.args[0].value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "flags.DEFINE_string"
        and isinstance(node.args[0], ast.Constant)
    }
    assert plain <= _NO_PATHS


def _command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=_ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_command_expands_home_in_flags_and_arguments(tmp_path):
    task = {"name": "a", "validation_accuracy": 0.5}
    (tmp_path / "run").mkdir()
    write_json(tmp_path / "run" / "results.json", {"tasks": [task]})
    (tmp_path / "keras.json").write_text("{}")
    ended = _command(
        *("tfcl.goals", "~/run", "--output=~/goals.json"),
        HOME=str(tmp_path),
        KERAS_HOME=str(tmp_path),
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads((tmp_path / "goals.json").read_text()) == {"a": 0.5}


def test_a_command_refuses_a_bucket_in_one_line():
    ended = _command(
        *("tfcl.train", "--stream=digits_5", "--method=lasem"),
        "--model_dir=gs://bucket/x",
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("tfcl: error: --model_dir gs://bucket/x: only paths")
    assert not (_ROOT / "gs:").exists()
