"""One process per model directory; places that cannot be written (F12, F13)."""

import errno
import os
import pathlib
import socket
import subprocess
import sys
import threading

import pytest

from tests.testing import toy_run
from tfcl import files
from tfcl.engine.storage.lock import DirectoryLock
from tfcl.errors import UserError

ROOT = pathlib.Path(__file__).parents[3]
HOLDER = """
import sys, time
from tfcl.engine.storage.lock import DirectoryLock
lock = DirectoryLock(sys.argv[1])
print("held", flush=True)
time.sleep(600)
"""


def test_a_second_run_on_a_folder_is_refused(tmp_path):
    first = toy_run.open_run(tmp_path)
    with pytest.raises(UserError, match=f"in use by process {os.getpid()} on"):
        toy_run.open_run(tmp_path)
    first.close()
    toy_run.open_run(tmp_path).close()


def test_a_dead_process_holds_no_lock(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"in use by process {holder.pid}"):
            DirectoryLock(tmp_path)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    lock = DirectoryLock(tmp_path)
    assert str(os.getpid()) in (tmp_path / ".lock").read_text()
    lock.release()


def test_a_refused_run_leaves_the_holder_its_name(tmp_path):
    lock = DirectoryLock(tmp_path)
    before = (tmp_path / ".lock").read_bytes()
    for _ in range(2):
        with pytest.raises(UserError):
            DirectoryLock(tmp_path)
    assert (tmp_path / ".lock").read_bytes() == before
    lock.release()


def test_a_failed_opening_gives_the_folder_free(tmp_path):
    def broken_stream(data_dir):
        raise UserError("no data")

    with pytest.raises(UserError, match="no data") as kept:
        toy_run.open_run(tmp_path, stream=broken_stream)
    # The traceback, which a notebook keeps, must not keep the lock.
    assert kept.value.__traceback__ is not None
    toy_run.open_run(tmp_path).close()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    for folder in ("file", "file/run"):
        with pytest.raises(UserError, match="Cannot write to --model_dir"):
            DirectoryLock(tmp_path / folder)
    assert (tmp_path / "file").read_text() == "x"


def test_a_folder_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):  # root may write everywhere
        monkeypatch.setattr("os.open", _not_permitted)
    with pytest.raises(UserError, match="Cannot write to --model_dir .*denied"):
        DirectoryLock(folder)


def _not_permitted(path, *args, **kwargs):
    raise PermissionError(13, "Permission denied", str(path))


def test_a_full_disk_does_not_hinder_the_lock(tmp_path):
    with toy_run.disk_limit(0):
        lock = DirectoryLock(tmp_path)
        with pytest.raises(UserError, match="in use by another process"):
            DirectoryLock(tmp_path)
        lock.release()


# File systems without locks. The system's call is replaced.

_WITHOUT = """
import fcntl, os, sys
def no_lock(*_): raise OSError(int(sys.argv[2]), "no locks here")
fcntl.flock = no_lock
from tfcl.engine.storage.lock import DirectoryLock
lock = DirectoryLock(sys.argv[1])
print("held", flush=True)
if len(sys.argv) > 3:
    os._exit(9)  # As by a kill: nothing is cleaned up.
sys.stdin.read()
lock.release()
"""


def _holder(folder, number, *further):
    return subprocess.Popen(
        [sys.executable, "-c", _WITHOUT, str(folder), str(number), *further],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(
    name="number",
    params=[errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP],
    ids=["ENOSYS", "ENOLCK", "EOPNOTSUPP"],
)
def _number(request, monkeypatch):
    def no_lock(*_):
        raise OSError(request.param, "no locks here")

    monkeypatch.setattr("fcntl.flock", no_lock)
    return request.param


def test_a_file_system_without_locks_still_has_one_process_per_folder(
    tmp_path, number
):
    with _holder(tmp_path, number) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError) as error:
            DirectoryLock(tmp_path)
        told = str(error.value)
        holder = f"process {other.pid} on {socket.gethostname()}"
        assert f"in use by {holder}" in told
        assert f"If it has ended, remove {tmp_path}/.lock.soft." in told
        other.stdin.close()
        assert other.wait(30) == 0
    for _ in range(2):
        DirectoryLock(tmp_path).release()
    assert not (tmp_path / ".lock.soft").exists()


def test_the_soft_lock_of_a_dead_process_is_taken_over(tmp_path, number):
    with _holder(tmp_path, number, "dies") as other:
        assert other.stdout.readline() == "held\n"
        assert other.wait(30) == 9
    assert (tmp_path / ".lock.soft").exists()
    lock = DirectoryLock(tmp_path)
    with pytest.raises(UserError, match=f"process {os.getpid()} on"):
        DirectoryLock(tmp_path)
    lock.release()


def test_a_lock_that_fails_otherwise_is_no_other_process(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("fcntl.flock", broken)
    with pytest.raises(UserError, match="Cannot write to .*network.*works"):
        DirectoryLock(tmp_path)


def test_who_waits_gets_the_lock_when_the_other_lets_go(tmp_path, number):
    """As builders of one data set do, also where there are no locks."""
    with _holder(tmp_path, number) as other:
        assert other.stdout.readline() == "held\n"
        timer = threading.Timer(0.5, other.stdin.close)
        timer.start()
        lock = files.lock(tmp_path / ".lock", wait=True)
        assert timer.finished.is_set()
        assert lock.is_locked
        lock.release()
        assert other.wait(30) == 0
