"""Workers that differ end before the first step; one that waits can be ended.

The workers are threads: what they do here needs no TensorFlow.
"""

import concurrent.futures
import os
import pathlib
import signal
import socket
import tempfile
import threading
import time

import pytest

from tfcl.engine.process.agreement import agree
from tfcl.engine.process.cluster import Cluster
from tfcl.errors import Interrupted, RunError, UserError

_FACTS = {"Experiment.seed": 0, "TaskTraining.epochs": "3", "keras": "3.15.1"}


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def _cluster(count, mine, port):
    # Only the first one's address is used.
    tasks = [("worker", k, ("127.0.0.1", port)) for k in range(count)]
    return Cluster(tuple(tasks), mine)


def _outcomes(every, seconds=20.0, delays=(), folders=None):
    """What `agree` comes to on each of the workers with these facts."""
    port = _free_port()
    if folders is None:
        made = tempfile.TemporaryDirectory()
        folders = [pathlib.Path(made.name)] * len(every)

    def work(k):
        if k < len(delays):
            time.sleep(delays[k])
        try:
            cluster = _cluster(len(every), k, port)
            return agree(cluster, every[k], seconds, folders[k])
        except Exception as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(len(every)) as pool:
        return list(pool.map(work, range(len(every))))


@pytest.mark.parametrize("delays", [(), (1.0,), (0.0, 1.0)])
def test_workers_that_do_the_same_go_on_whoever_comes_first(delays):
    every = [_FACTS] * 3
    assert _outcomes(every, delays=delays) == [None] * 3


@pytest.mark.parametrize(
    "name, value, told",
    [
        ("TaskTraining.epochs", "5", "epochs: 3 (worker 0), 5 (worker 1), 3"),
        ("Experiment.seed", 1, "seed: 0 (worker 0), 1 (worker 1), 0 (worker 2"),
        ("Constant.learning_rate", "0.1", "not set (worker 0), 0.1 (worker 1)"),
    ],
)
def test_workers_that_differ_end_all_of_them_with_the_parameters(
    name, value, told
):
    every = [_FACTS, {**_FACTS, name: value}, _FACTS]
    ends = _outcomes(every)
    for error in ends:
        assert isinstance(error, UserError), error
        assert name in str(error) and told in str(error)
        assert "\n" not in str(error)
    assert len(set(map(str, ends))) == 1
    # What is the same is not named.
    others = _FACTS.keys() - {name}
    assert not any(other in str(ends[0]) for other in others)


@pytest.mark.parametrize("mine, missing", [(0, "worker 1"), (1, "worker 0")])
def test_a_worker_that_never_comes_is_given_up_after_the_stated_time(
    mine, missing, tmp_path
):
    begun = time.monotonic()
    with pytest.raises(RunError, match=f"of {missing} for 1 seconds.*timeout"):
        agree(_cluster(2, mine, _free_port()), _FACTS, 1.0, tmp_path)
    assert 1.0 <= time.monotonic() - begun < 15.0


@pytest.mark.parametrize("mine", [0, 1])
def test_sigterm_ends_the_waiting(mine, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    with pytest.raises(Interrupted, match="waiting for the other workers"):
        agree(_cluster(2, mine, _free_port()), _FACTS, 60.0, tmp_path)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_port_in_use_is_one_line(tmp_path):
    with socket.create_server(("", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(RunError, match=f"cannot listen at port {port}"):
            agree(_cluster(2, 0, port), _FACTS, 1.0, tmp_path)


def test_strangers_at_the_port_are_not_counted(tmp_path):
    port = _free_port()

    def stranger():
        for said in (b"GET / HTTP/1.1\r\n\r\n\n", b'{"tfcl": 3}\n', b""):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(said)

    def other():
        time.sleep(0.3)
        stranger()
        agree(_cluster(2, 1, port), _FACTS, 20.0, tmp_path)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(other)
        agree(_cluster(2, 0, port), _FACTS, 20.0, tmp_path)
        assert waiting.result() is None


def test_the_port_is_free_again_at_once(tmp_path):
    port = _free_port()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        ends = [
            pool.submit(agree, _cluster(2, k, port), _FACTS, 20.0, tmp_path)
            for k in range(2)
        ]
        assert [end.result() for end in ends] == [None, None]
    socket.create_server(("", port)).close()


def test_workers_with_folders_of_their_own_end_in_one_line(tmp_path):
    shared, other = tmp_path / "shared", tmp_path / "other"
    shared.mkdir()
    ends = _outcomes([_FACTS] * 3, folders=[shared, other, shared])
    for error in ends:
        assert isinstance(error, UserError), error
        assert str(error).startswith("worker 1 cannot see what worker 0 wri")
        assert "Give a folder on a disk that all" in str(error)
        assert "\n" not in str(error)
    assert not other.exists() and not list(shared.iterdir())


def test_a_shared_folder_is_left_as_it_was_found(tmp_path):
    for folder in (tmp_path / "new", tmp_path / "old"):
        assert _outcomes([_FACTS] * 2, folders=[folder] * 2) == [None] * 2
        assert not folder.exists() or not list(folder.iterdir())
        (tmp_path / "old").mkdir(exist_ok=True)
    assert not (tmp_path / "new").exists() and (tmp_path / "old").exists()


def test_a_folder_that_the_first_worker_cannot_write_ends_all(tmp_path):
    taken = tmp_path / "file"
    taken.write_text("")
    first, other = _outcomes([_FACTS] * 2, folders=[taken, taken])
    assert isinstance(first, RunError) and isinstance(other, RunError)
    assert "Cannot write to --model_dir" in str(first)
    assert "Something else is in its place" in str(first)
    assert str(other).startswith("worker 0 cannot write to its --model_dir")
