"""The program that builds and checks data sets."""

import errno
import functools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import download_manager

from tests.testing.build_command import one_line, run_build
from tests.testing.folders import draw_task, save
from tfcl.data.sources import catalog
from tfcl.data.streams.folder_stream import folder_stream
from tfcl.data_builders.digits import digits_dataset_builder

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_LOUDNESS = ("TF_CPP_MIN_LOG_LEVEL",)
# Dies in the middle of building, as by `kill -9`.
_KILLED = """
import os, signal, sys
from tfcl.data_builders.digits import digits_dataset_builder as digits
make = digits.Builder._generate_examples
def dying(self, *arguments):
    for count, example in enumerate(make(self, *arguments)):
        if count == 300:
            os.kill(os.getpid(), signal.SIGKILL)
        yield example
digits.Builder._generate_examples = dying
digits.Builder(data_dir=sys.argv[1]).download_and_prepare()
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    digits_dataset_builder.Builder(data_dir=folder).download_and_prepare()
    return folder


@pytest.fixture
def whole(prepared, tmp_path):
    """A copy of the prepared digits, to be damaged."""
    return pathlib.Path(shutil.copytree(prepared, tmp_path / "copy"))


@pytest.fixture
def run(capsys):
    """Function from arguments to (exit code, stdout, stderr)."""
    return functools.partial(run_build, capsys)


# Building


def test_a_set_is_built_once(run, tmp_path):
    code, out, _ = run("digits", data_dir=str(tmp_path))
    folder = tmp_path / "digits/1.0.0"
    assert code == 0
    assert out == f"Built 'digits' in {folder} (1442 train, 355 test records)\n"
    before = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
    code, out, _ = run("digits", data_dir=str(tmp_path))
    assert (code, out.partition(":")[0]) == (0, "Was there already")
    assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == before


def test_a_kill_leaves_nothing_that_passes_for_a_set(run, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path)],
        cwd=_ROOT,
        capture_output=True,
        timeout=120,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    left = [path.name for path in (tmp_path / "digits").iterdir()]
    assert len(left) == 1 and left[0].startswith("incomplete.")
    assert "is not in" in one_line(
        run("digits", data_dir=str(tmp_path), check=True)
    )
    code, _, _ = run("digits", data_dir=str(tmp_path))
    assert code == 0
    assert run("digits", data_dir=str(tmp_path), check=True)[0] == 0
    shown = [p.name for p in (tmp_path / "digits").iterdir()]
    assert sorted(shown) == [".1.0.0.lock", "1.0.0"]


def test_folders_are_packed_for_the_stream(run, tmp_path):
    tasks = draw_task(tmp_path / "my", "a", {"x": 4, "y": 4})
    (tasks / "a/x/9.png").write_bytes(b"no image")
    values = {
        "data_dir": str(tmp_path / "data"),
        "manual_dir": str(tasks),
        "image_size": "6x5",
        "resize": "crop",
    }
    message = one_line(run("image_folders", **values))
    assert "x/9.png' is no readable image" in message
    code, out, _ = run("image_folders", on_bad_image="skip", **values)
    folder = tmp_path / "data/image_folders/my_6x5_crop/1.0.0"
    assert code == 0
    assert f"in {folder} (8 train records)" in out
    assert "Left out: " in out and "x/9.png" in out
    assert f"folder_stream.root = '{folder}'" in out
    assert "delete that folder" in run("image_folders", **values)[1]
    (task,) = folder_stream(str(folder), (6, 5), batch_size=1).tasks
    assert len(task.train) == 4
    for name in ("image_folders", str(folder)):
        code, out, _ = run(name, check=True, **values)
        assert (code, out) == (0, "train: 8 records in 1 file(s), whole\n")


def test_files_are_packed_by_the_rules_of_the_flags(run, tmp_path):
    draw_task(tmp_path / "my", "b", {"x": 4, "y": 4})
    outside = save(tmp_path / "1.png", np.full((6, 5), 2000, np.uint16))
    two = save(tmp_path / "my/b/2.png", np.full((6, 5, 2), 9, np.uint8))
    lines = [f"{outside} 0", f"{two} 1", "../b/x/0.png 0", "../b/y/0.png 1"]
    (tmp_path / "my/a").mkdir()
    (tmp_path / "my/a/train.txt").write_text("\n".join(lines))
    two.rename(tmp_path / "my/a/2.png")
    lines[1] = "2.png 1"
    (tmp_path / "my/a/train.txt").write_text("\n".join(lines))
    values = {
        "data_dir": str(tmp_path / "data"),
        "manual_dir": str(tmp_path / "my"),
        "image_size": "6x5",
    }
    for name, value, message in (
        ("lists_may_leave_root", True, "leads out of"),
        ("two_channels", "grey", "has two channels"),
        ("white", 4000.0, ""),
    ):
        if message:
            assert message in one_line(run("image_folders", **values))
        values[name] = value
    assert "more than the 10 that" in one_line(
        run("image_folders", largest_file=10, **values)
    )
    assert "--white is a number" in one_line(
        run("image_folders", **{**values, "white": -1.0})
    )
    assert run("image_folders", **values)[0] == 0
    packed = tmp_path / "data/image_folders/my_6x5_stretch/1.0.0"
    held = tfds.builder_from_directory(packed).info.metadata
    assert dict(held) == {"white": {"a": 4000.0}, "two_channels": "grey"}


# What goes wrong


def test_unknown_names_are_answered_with_the_nearest(run, tmp_path):
    values = {"data_dir": str(tmp_path)}
    assert "mean 'digits'" in one_line(run("digit", **values))
    assert "mean 'image_folders'" in one_line(run("image_folder", **values))
    assert "--list" in one_line(run(**values))
    assert "--list" in one_line(run("digits", "mnist", **values))


def test_files_that_the_user_owes_are_asked_for(run, tmp_path):
    data, manual = tmp_path / "data", tmp_path / "manual"
    values = {"data_dir": str(data)}
    name = "office_home_product"
    message = one_line(run(name, **values))
    assert f"'{data}/downloads/manual' does not exist" in message
    assert "officeHomeDataset.html" in message and "--manual_dir" in message
    manual.mkdir()
    message = one_line(run(name, manual_dir=str(manual), **values))
    assert f"'{manual}' is empty" in message
    (manual / "OfficeHomeDataset_10072016.zip").write_bytes(b"wrong")
    message = one_line(run(name, manual_dir=str(manual), **values))
    assert "no folder 'Product' in" in message
    assert f"folder for this is '{manual}'" in message
    assert not list(data.rglob("1.0.0*"))
    assert "--manual_dir=my_tasks" in one_line(run("image_folders", **values))


@pytest.mark.parametrize(
    ("error", "messages"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            ["No space left on device", "Make room on the disk"],
        ),
        (
            OSError("Not enough disk space. Needed: 2 GiB"),
            ["Needed: 2 GiB", "Make room"],
        ),
        (
            download_manager.NonMatchingChecksumError("u", "p"),
            ["NonMatchingChecksumError", "Delete the archive in"],
        ),
        (
            download_manager.NonMatchingChecksumError("in my_files/x.gz"),
            ["NonMatchingChecksumError", "Replace that file"],
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x"),
            ["Permission denied: '/x'", "Remove the cause"],
        ),
        (
            ConnectionError("no route"),
            ["no route", "a download needs the internet"],
        ),
        (ImportError("x", name="cv2"), ["pip install cv2"]),
        (EOFError("cut archive"), ["EOFError: cut archive"]),
    ],
)
def test_failures_are_one_line_with_a_way_out(run, tmp_path, error, messages):
    with mock.patch.object(
        tfds.core.DatasetBuilder, "download_and_prepare", side_effect=error
    ):
        line = one_line(
            run("digits", data_dir=str(tmp_path), manual_dir="my_files")
        )
    for message in messages:
        assert message in line


@pytest.mark.parametrize("size", ["0", "128x", "x", "-4", "9x9x3"])
def test_sizes_are_checked(run, tmp_path, size):
    values = {"manual_dir": str(tmp_path), "image_size": size}
    assert f"Received: {size}" in one_line(run("image_folders", **values))


# Checking


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x80
    path.write_bytes(content)


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def test_a_whole_set_is_told_split_by_split(run, prepared):
    code, out, _ = run("digits", data_dir=str(prepared), check=True)
    assert code == 0
    assert out.splitlines() == [
        "train: 1442 records in 1 file(s), whole",
        "test: 355 records in 1 file(s), whole",
    ]


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("digits-test.tfrecord-00000-of-00001", flip, "is damaged"),
        ("digits-train.tfrecord-00000-of-00001", cut, "is damaged"),
        ("digits-test.tfrecord-00000-of-00001", pathlib.Path.unlink, "missing"),
        ("dataset_info.json", cut, "cannot be used"),
        ("label.labels.txt", cut, "does not hold the 10 class names"),
    ],
)
def test_damage_is_one_line_that_names_the_file(
    run, whole, file, damage, message
):
    path = whole / "digits/1.0.0" / file
    damage(path)
    code, _, err = run("digits", data_dir=str(whole), check=True)
    assert code == 2
    (line,) = [x for x in err.splitlines() if x.startswith("tfcl: ")]
    assert str(path) in line and message in line
    assert "Delete the folder" in line


def test_counts_are_held_against_the_description(run, whole):
    info = whole / "digits/1.0.0/dataset_info.json"
    assert '"355"' in info.read_text()
    info.write_text(info.read_text().replace('"355"', '"354"'))
    code, _, err = run("digits", data_dir=str(whole), check=True)
    assert code == 2 and "digits-test" in err
    assert "holds 355 records where 354 are expected" in err


def test_every_image_is_decoded(run, whole):
    path = whole / "digits/1.0.0/digits-test.tfrecord-00000-of-00001"
    records = [r.numpy() for r in tf.data.TFRecordDataset(str(path))]
    records[7] = records[7].replace(b"IHDR", b"IXXX")
    # With checksums that fit: only decoding shows it.
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    code, _, err = run("digits", data_dir=str(whole), check=True)
    assert code == 2 and str(path) in err
    assert "split 'test' cannot be decoded" in err


def test_a_set_that_is_not_there_cannot_be_checked(run, tmp_path):
    line = one_line(run("digits", data_dir=str(tmp_path), check=True))
    assert "is not in" in line and "tfcl.build digits" in line


# The rest


def test_the_list_names_every_set_with_its_terms(run):
    code, out, _ = run(list=True)
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0
    assert set(lines) == {*catalog.CATALOG, "image_folders"}
    for name, source in catalog.CATALOG.items():
        assert source.terms in lines[name]
    assert " by hand " in lines["office_home_art"]
    assert " by hand " not in lines["digits"]


def test_it_is_a_program_that_ends_in_one_line():
    ended = subprocess.run(
        [sys.executable, "-m", "tfcl.build", "mnits"],
        cwd=_ROOT,
        # What TensorFlow says by itself is the program's choice, not ours.
        env={k: v for k, v in os.environ.items() if k not in _LOUDNESS},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("tfcl: error: Unknown data set 'mnits'. Did you")
