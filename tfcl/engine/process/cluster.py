"""The workers of a run, as the environment variable TF_CONFIG tells them."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import typing

from tfcl.errors import UserError

_NAME = "TF_CONFIG"
_JOBS = ("chief", "worker")
_EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
_MAX_PORT = 65535


@dataclasses.dataclass(frozen=True)
class Cluster:
    """All workers, and which of them this process is.

    Attributes:
        tasks: `("chief" or "worker", index, (host, port))` of each; the first
            writes the files of the run.
        mine: Number of this process among them.
    """

    tasks: tuple[tuple[str, int, tuple[str, int]], ...]
    mine: int

    @property
    def names(self) -> list[str]:
        """ "worker 0" and the like."""
        return [f"{job} {index}" for job, index, _ in self.tasks]

    @property
    def is_alone(self) -> bool:
        """Whether the cluster is one worker."""
        return len(self.tasks) == 1


def read_cluster() -> Cluster:
    """The `Cluster` of TF_CONFIG.

    Writes the variable anew where it says the same in another way (an index
    as a text), which TensorFlow would take for something else.

    Raises:
        UserError: If it is missing or not of the form that TensorFlow takes.
    """
    text = os.environ.get(_NAME, "")
    if not text.strip():
        raise UserError(
            "--distribution=multi_worker needs the environment variable "
            f"{_NAME} with the cluster's addresses and this worker's index, "
            f"such as {_EXAMPLE}; see docs/distribution.md."
        )
    try:
        config = json.loads(text)
    except ValueError as error:
        _refuse(f"is no JSON ({error})")
    if not isinstance(config, dict):
        _refuse(f"is no object: {text}")
    tasks = _tasks(config.get("cluster"))
    job, index = _task(config.get("task"))
    for number, (other, position, _) in enumerate(tasks):
        if (other, position) == (job, index):
            config["task"] = {**config["task"], "index": index}
            os.environ[_NAME] = json.dumps(config)
            return Cluster(tuple(tasks), number)
    known = ", ".join(f"{job} {index}" for job, index, _ in tasks)
    _refuse(f"has the task {job!r} {index}, but the cluster has {known}")


def _tasks(cluster):
    if not isinstance(cluster, dict) or not any(cluster.values()):
        _refuse(f"names no worker: cluster {json.dumps(cluster)}")
    others = sorted(set(cluster) - set(_JOBS))
    if others:
        _refuse(f"has {', '.join(others)}; only chief and worker are offered")
    if len(cluster.get("chief", ())) > 1:
        _refuse("has several chiefs")
    tasks = []
    for job in _JOBS:
        addresses = cluster.get(job, [])
        if not isinstance(addresses, list):
            _refuse(f"must have a list of addresses for {job}: {addresses!r}")
        tasks += [(job, k, _address(a)) for k, a in enumerate(addresses)]
    every = [address for _, _, address in tasks]
    twice = [address for address in every if every.count(address) > 1]
    if twice:
        _refuse("has the address {}:{} twice".format(*twice[0]))
    return tasks


def _address(text):
    match = re.fullmatch(r"(.+):(\d{1,5})", str(text))
    if not match or not 1 <= int(match[2]) <= _MAX_PORT:
        _refuse(
            f"has the address {text!r}, which is no host:port with a port "
            f"from 1 to {_MAX_PORT}"
        )
    return match[1].strip("[]"), int(match[2])


def _task(task):
    task = task if isinstance(task, dict) else {}
    job, index = task.get("type"), task.get("index")
    if job not in _JOBS or not re.fullmatch(r"\d+", str(index)):
        _refuse(
            "must say which worker this is, by a type (chief or worker) and "
            f"an index from 0 on: task {json.dumps(task)}"
        )
    return job, int(index)


def _refuse(what: str) -> typing.NoReturn:
    raise UserError(
        f"The environment variable {_NAME} {what}. Give it the form {_EXAMPLE}."
    )
