"""Reading with bounds: regular files only, up to a size."""

import os
import pathlib
import socket
import sys
import time

import pytest

from tfcl.data_builders import manual_files, regular_files

_POSIX = pytest.mark.skipif(os.name != "posix", reason="has no such files")


def test_a_file_and_a_link_to_it_are_read(tmp_path):
    path, link = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"x" * 3_000_000)
    link.symlink_to(path)
    for each in (path, link, str(path)):
        assert regular_files.read(each) == path.read_bytes()
    assert regular_files.head(path, 5) == b"xxxxx"


@pytest.mark.parametrize("size", [0, 1, 10])
def test_a_file_may_be_as_large_as_stated(tmp_path, size):
    path = tmp_path / "a"
    path.write_bytes(bytes(size))
    assert regular_files.read(path, size) == bytes(size)
    with pytest.raises(OSError, match=f"more than the {size} that a file"):
        path.write_bytes(bytes(size + 1))
        regular_files.read(path, size)


@_POSIX
def test_a_named_pipe_does_not_hang_and_is_not_touched(tmp_path):
    path = tmp_path / "a.png"
    os.mkfifo(path)
    begin = time.monotonic()
    for read in (regular_files.read, manual_files.content):
        with pytest.raises(OSError, match="it is a named pipe"):
            read(path)
    assert time.monotonic() - begin < 5


@_POSIX
def test_a_pipe_that_takes_the_place_of_a_file_is_noticed(
    tmp_path, monkeypatch
):
    path, plain = tmp_path / "a.png", tmp_path / "b.png"
    os.mkfifo(path)
    plain.write_bytes(b"x")
    stat = os.stat
    monkeypatch.setattr(
        os, "stat", lambda p, *a, **k: stat(plain if p == path else p, *a, **k)
    )
    with pytest.raises(OSError, match="it is a named pipe"):
        regular_files.read(path)


@_POSIX
def test_devices_and_sockets_are_refused(tmp_path, monkeypatch):
    link = tmp_path / "zero.png"
    link.symlink_to("/dev/zero")
    with pytest.raises(OSError, match="it is a device"):
        regular_files.read(link)
    monkeypatch.chdir(tmp_path)  # Their paths may not be long.
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("s")
        with pytest.raises(OSError, match="it is a socket"):
            regular_files.read("s")


@pytest.mark.skipif(sys.platform != "linux", reason="has no /proc")
def test_files_that_hide_their_size_are_bounded_too():
    path = pathlib.Path("/proc/self/maps")
    assert path.stat().st_size == 0
    assert regular_files.read(path)
    with pytest.raises(OSError, match="more than the 100 that"):
        regular_files.read(path, 100)


def test_folders_and_missing_files_keep_their_errors(tmp_path):
    with pytest.raises(IsADirectoryError):
        regular_files.read(tmp_path)
    with pytest.raises(FileNotFoundError):
        regular_files.read(tmp_path / "absent")
