"""Ctrl-C, SIGTERM and SIGHUP, in processes of their own."""

import os
import pathlib
import pty
import signal
import subprocess
import sys
import threading
import time

import pytest

from tfcl.engine.process.stopping import Stopping
from tfcl.errors import Interrupted

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ROOT = pathlib.Path(__file__).resolve().parents[3]
# What a run does: stretches that are one call, a look whether to stop, and a
# save; without TensorFlow, so that a start takes no seconds.
_PROGRAM = """
import sys, threading, time
from tfcl.engine.process.stopping import Stopping
from tfcl.errors import Interrupted

wished = threading.Event()
stretch = float(sys.argv[1])
try:
    with Stopping(wished.set):
        print("learning", flush=True)
        for _ in range(200):
            lock = threading.Lock()
            lock.acquire()
            lock.acquire(timeout=stretch)
            if wished.is_set():
                raise Interrupted("saved")
except Interrupted as error:
    with open(sys.argv[2], "w") as file:
        file.write("saved")
    sys.exit(error.exit_code)
"""
# As a call of TensorFlow, it lets no handler run until it is over, and no
# signal interrupts it.
_DEAF = _PROGRAM.replace(
    "lock.acquire(timeout=stretch)",
    "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', int(stretch))",
)


def _hear():
    """Tests may run where signals are ignored (`nohup`, `&`); children inherit
    it."""
    for number in _NUMBERS:
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture(name="heard")
def _heard():
    """This process, too, hears the signals during a test."""
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    _hear()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(name="started")
def _started(tmp_path):
    """Function of a program and its stretch that starts it."""
    processes = []

    def start(program, stretch, preexec_fn=_hear):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(stretch), tmp_path / "saved"],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=preexec_fn,
        )
        processes.append(process)
        assert process.stdout.readline() == "learning\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGHUP, 75)],
)
def test_a_signal_saves_and_says_so_in_one_line(
    started, tmp_path, number, code
):
    process = started(_PROGRAM, 0.05)
    process.send_signal(number)
    _, told = process.communicate(timeout=20)
    assert process.returncode == code
    assert told.splitlines() == [
        "tfcl: stopping and saving behind the steps in hand; once more: at "
        "once."
    ]
    assert (tmp_path / "saved").exists()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)]
)
def test_a_second_signal_ends_a_long_call_at_once(
    started, tmp_path, number, code
):
    process = started(_DEAF, 1e9)  # Half an hour.
    process.send_signal(number)
    # Told although no handler has run.
    assert "stopping" in process.stderr.readline()
    time.sleep(0.7)
    begun = time.monotonic()
    process.send_signal(number)
    _, told = process.communicate(timeout=20)
    assert time.monotonic() - begun < 5
    assert process.returncode == code
    assert told.startswith("tfcl: stopped at once")
    assert not (tmp_path / "saved").exists()


def test_two_signals_at_a_time_are_one_wish(started, tmp_path):
    """As `timeout` and a closing terminal send them."""
    process = started(_PROGRAM, 0.3)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=20)
    assert process.returncode == 75
    assert (tmp_path / "saved").exists()


def test_what_was_ignored_stays_ignored(started):
    process = started(
        _PROGRAM,
        0.02,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    process.send_signal(signal.SIGHUP)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 0
    assert not told


def test_a_run_is_saved_when_its_terminal_is_closed(tmp_path):
    process, terminal = pty.fork()
    if process == 0:  # The child: its terminal is the other end.
        _hear()
        os.chdir(_ROOT)
        arguments = [_PROGRAM, "0.05", str(tmp_path / "saved")]
        os.execv(sys.executable, [sys.executable, "-c", *arguments])
    assert b"learning" in os.read(terminal, 100)
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 75
    assert (tmp_path / "saved").exists()


@pytest.mark.usefixtures("heard")
def test_handlers_are_as_before():
    before = [signal.getsignal(number) for number in _NUMBERS]
    wished = threading.Event()
    with pytest.raises(Interrupted) as ended, Stopping(wished.set):
        assert [signal.getsignal(n) for n in _NUMBERS] != before
        signal.raise_signal(signal.SIGINT)
        assert wished.is_set()
        raise Interrupted("saved")
    assert ended.value.exit_code == 130
    assert Interrupted("another").exit_code == 75
    assert [signal.getsignal(number) for number in _NUMBERS] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_other_threads_ask_for_nothing():
    before = signal.getsignal(signal.SIGTERM)
    inside = []

    def learn():
        with Stopping(lambda: None):
            inside.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=learn)
    thread.start()
    thread.join()
    assert inside == [before]
