"""Two worker processes on this machine, told of each other by TF_CONFIG."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_TASKS = ("000_task_00", "001_task_01")
_SECONDS = 180  # Until a process counts as hanging; 10 are enough when idle.
_GIN = """
include "gin/base.gin"
include "gin/methods/lasem_training.gin"
include "gin/methods/lasem.gin"
include "gin/transfers/hard.gin"
import tfcl.data.synthetic

Experiment.stream = @synthetic_stream
Experiment.exports = False
synthetic_stream.class_counts = (2, 3)
BACKBONE = @lasem_cnn
lasem_cnn.channels = (4, 5)
lasem_cnn.kernel_sizes = (3, 3)
lasem_cnn.pool_sizes = (2, 2)
HIDDEN_UNITS = (16,)
LEARNING_RATE = 0.001
DECAY = 0.0
EPOCHS = 5
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders after a run of one process, and after one of two workers."""
    base = tmp_path_factory.mktemp("workers")
    (base / "run.gin").write_text(_GIN)
    alone, shared = base / "alone", base / "shared"
    _wait([_start(alone)])
    cluster = {"worker": [f"127.0.0.1:{port}" for port in _free_ports(2)]}
    _wait(
        [
            _start(
                shared,
                {"cluster": cluster, "task": {"type": "worker", "index": k}},
            )
            for k in range(2)
        ]
    )
    return alone, shared


def test_two_workers_learn_what_one_process_learns(folders):
    alone, shared = folders
    for task in _TASKS:
        with (
            np.load(alone / "tasks" / task / "values.npz") as wanted,
            np.load(shared / "tasks" / task / "values.npz") as found,
        ):
            assert wanted.files and set(wanted.files) == set(found.files)
            for name in wanted.files:
                np.testing.assert_allclose(
                    found[name], wanted[name], atol=1e-5, err_msg=name
                )


def test_the_results_tell_of_two_replicas(folders):
    alone, shared = folders
    wanted, found = (_results(folder) for folder in (alone, shared))
    assert (wanted["replicas"], found["replicas"]) == (1, 2)
    assert found["distribution"] == "multi_worker"
    assert found["finished"] and found["global_step"] == wanted["global_step"]


def test_only_the_chief_writes_files(folders):
    alone, shared = folders
    # One file of events: each process that writes makes one.
    assert _kinds(shared) == _kinds(alone)


def test_workers_without_a_shared_folder_end_in_one_line(tmp_path):
    (tmp_path / "run.gin").write_text(_GIN)
    cluster = {"worker": [f"127.0.0.1:{port}" for port in _free_ports(2)]}
    started = [
        _start(
            tmp_path / f"run_{k}",
            {"cluster": cluster, "task": {"type": "worker", "index": k}},
        )
        for k in range(2)
    ]
    _wait(started, wanted=2)
    for k, (_, log) in enumerate(started):
        line = log.read_text().splitlines()[-1]
        assert line.startswith("tfcl: error: worker 1 cannot see what worker 0")
        assert not (tmp_path / f"run_{k}").exists()


def test_different_learning_rates_end_in_one_line_on_every_worker(tmp_path):
    (tmp_path / "run.gin").write_text(_GIN)
    cluster = {"worker": [f"127.0.0.1:{port}" for port in _free_ports(2)]}
    rates = ("0.001", "0.002")
    started = [
        _start(
            tmp_path / f"run_{k}",
            {"cluster": cluster, "task": {"type": "worker", "index": k}},
            f"--gin_bindings=LEARNING_RATE = {rate}",
        )
        for k, rate in enumerate(rates)
    ]
    _wait(started, wanted=2)
    for k, (_, log) in enumerate(started):
        line = log.read_text().splitlines()[-1]
        assert line.startswith("tfcl: error: The workers do not do the same: ")
        assert "learning_rate: 0.001 (worker 0), 0.002 (worker 1)" in line
        assert not (tmp_path / f"run_{k}").exists()


def _start(folder, tf_config=None, *further):
    """A training process; its stderr goes to a file beside the folder."""
    arguments = [
        f"--gin_file={folder.with_name('run.gin')}",
        f"--model_dir={folder}",
        *further,
    ]
    environment = {k: v for k, v in os.environ.items() if k != "TF_CONFIG"}
    if tf_config is not None:
        arguments.append("--distribution=multi_worker")
        environment["TF_CONFIG"] = json.dumps(tf_config)
    name = f"{folder.name}_{(tf_config or {}).get('task', {}).get('index', 0)}"
    with open(folder.with_name(f"{name}.log"), "w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tfcl.train", *arguments],
            cwd=_ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=log,
        ), pathlib.Path(log.name)


def _wait(started, wanted=0):
    """Waits for the ends of processes; kills what is left if one differs."""
    try:
        for process, log in started:
            try:
                code = process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                code = f"none after {_SECONDS} s"
            told = f"{log.stem} ended with {code}: {log.read_text()}"
            assert code == wanted, told
    finally:
        for process, _ in started:
            process.kill()
            process.wait()


def _free_ports(count):
    # Held open together, so that they differ.
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _results(folder):
    return json.loads((folder / "results.json").read_text())


def _kinds(folder):
    """Paths of a run's files; TensorBoard puts time and host in its names."""
    paths = [
        path.relative_to(folder) for path in folder.rglob("*") if path.is_file()
    ]
    assert paths
    return sorted(
        "events" if path.parts[0] == "tensorboard" else path.as_posix()
        for path in paths
    )
