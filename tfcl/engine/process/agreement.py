"""Workers meet before TensorFlow connects them, and compare what they do.

TensorFlow waits for a worker that never comes, without hearing a signal, and
lets workers of different configurations learn side by side. So they meet
before, at the address that TensorFlow's own server will have afterwards: every
worker tells the first one its facts, a line of JSON, and is told those of all.
Then the first one writes a file, which all others must find: a worker with a
folder of its own would begin anew where the others go on.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import socket
import tempfile
import threading
import time
import typing

from absl import logging

from tfcl.engine.evaluator import EvaluationPolicy
from tfcl.engine.process.cluster import Cluster, read_cluster
from tfcl.engine.process.numerics import numerics, shared
from tfcl.engine.runtime import Runtime
from tfcl.errors import Interrupted, RunError, UserError
from tfcl.files import cannot
from tfcl.reporting.results import versions

if typing.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any


_KEY = "tfcl"  # Tells our lines from whatever else reaches the port.
_PAUSE = 0.2  # Seconds between two looks.
_PATIENCE = 10.0  # Seconds for one line of one worker.
_SEEN_AFTER = 5.0  # Seconds until others see a file, on a disk in a network.
_LONGEST = 2**24  # Bytes of such a line.
_SHOWN = 8  # Parameters that a message names.


def agree_on_settings(
    settings: Mapping[str, Any],
    runtime: Runtime,
    evaluation: EvaluationPolicy,
    model_dir: pathlib.Path,
) -> None:
    """Sees to it that all workers are set alike, but for their own machines.

    Args:
        settings: `{name: JSON-ready value}` of the run.
        runtime: `Runtime`.
        evaluation: `EvaluationPolicy`.
        model_dir: Folder of the run.

    Raises:
        As `agree`.
    """
    cluster = read_cluster()
    if not cluster.is_alone:
        facts = {
            **settings,
            **shared(numerics(runtime, evaluation, 0)),
            **versions(),
        }
        agree(cluster, facts, runtime.workers_timeout, model_dir)


def agree(
    cluster: Cluster,
    facts: Mapping[str, Any],
    seconds: float,
    model_dir: pathlib.Path,
) -> None:
    """Waits for all workers, and sees to it that they do the same.

    Args:
        cluster: `Cluster` of more than one worker.
        facts: `{name: JSON-ready value}` in which they must not differ.
        seconds: How long to wait.
        model_dir: Folder of the run, which all must see; made if missing.

    Raises:
        UserError: On every worker, with the facts that differ, or with the
            workers that have a folder of their own.
        RunError: If a worker does not come, or an address or the folder
            cannot be used.
        Interrupted: If the process is asked to stop meanwhile.
    """
    deadline = time.monotonic() + seconds
    logging.info("Waiting for %d workers", len(cluster.tasks))
    with _stopped_by_sigterm():
        if cluster.mine == 0:
            blind = _gathered(cluster, facts, deadline, seconds, model_dir)
        else:
            blind = _told(cluster, facts, deadline, seconds, model_dir)
    if blind is None:
        raise RunError(
            f"{cluster.names[0]} cannot write to its --model_dir; see there."
        )
    if blind:
        raise UserError(
            f"{', '.join(blind)} cannot see what {cluster.names[0]} writes to "
            f"its --model_dir (here {model_dir}). Give a folder on a disk that "
            "all workers share, by its path on each of them."
        )


@contextlib.contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Nothing is begun yet, so there is nothing to save."""

    def stop(signum, frame):
        del signum, frame
        raise Interrupted(
            "Stopped on request while waiting for the other workers. Start "
            "the same command again on all of them."
        )

    if threading.current_thread() is not threading.main_thread():
        yield  # Python gives signals to the main thread alone.
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _gathered(cluster, facts, deadline, seconds, model_dir):
    """The first worker: collects the facts of all, and tells them to all.

    Returns:
        Names of the workers that do not see its folder.
    """
    _, _, address = cluster.tasks[0]
    every = {cluster.names[0]: facts}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(_server(cluster, address))
        guests = {}
        while len(every) < len(cluster.tasks):
            if time.monotonic() > deadline:
                missing = [n for n in cluster.names if n not in every]
                raise _nobody(", ".join(missing), seconds)
            try:
                guest, _ = server.accept()
            except TimeoutError:
                continue
            stack.enter_context(guest)
            said = _read(guest)
            if said.get("name") in cluster.names[1:]:
                every[said["name"]] = said["facts"]
                guests[said["name"]] = guest
        try:
            return _not_seeing(every, guests, model_dir)
        finally:
            for guest in guests.values():
                # They close first, so that the port is at once TensorFlow's.
                with contextlib.suppress(OSError):
                    guest.recv(1)


def _not_seeing(every, guests, model_dir):
    """Tells all facts and a file; names of the workers that do not find it."""
    name = None
    with contextlib.ExitStack() as shown:
        try:
            _compare(every)
            name = shown.enter_context(_visible_file(model_dir))
        finally:
            for guest in guests.values():
                _write(guest, {"every": every, "file": name})
        blind = [
            worker
            for worker, guest in guests.items()
            if not _read(guest, time.monotonic() + _PATIENCE).get("sees")
        ]
    for guest in guests.values():
        _write(guest, {"blind": blind})
    return blind


@contextlib.contextmanager
def _visible_file(folder):
    """A file of a name of its own; what a kill leaves of it is swept."""
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, path = tempfile.mkstemp(
            dir=folder, prefix=".workers.", suffix=".tmp"
        )
    except OSError as error:
        raise cannot(
            f"write to --model_dir {folder}", error, error.strerror
        ) from error
    os.close(descriptor)
    try:
        yield os.path.basename(path)
    finally:
        os.unlink(path)
        if is_new:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _server(cluster, address):
    try:
        # At every address of the machine, as TensorFlow's server does.
        both = socket.has_dualstack_ipv6()
        server = socket.create_server(
            ("", address[1]),
            family=socket.AF_INET6 if both else socket.AF_INET,
            dualstack_ipv6=both,
        )
    except OSError as error:
        raise RunError(
            f"{cluster.names[0]} cannot listen at port {address[1]}: "
            f"{error.strerror}. End what uses it, or give another port in "
            "TF_CONFIG of all workers."
        ) from error
    server.settimeout(_PAUSE)
    return server


def _told(cluster, facts, deadline, seconds, model_dir):
    """Any other worker: tells its facts, and hears those of all.

    Returns:
        Names of the workers that do not see the first one's folder; None if
        it cannot write there itself.
    """
    _, _, address = cluster.tasks[0]
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise _nobody(cluster.names[0], seconds)
        try:
            host = socket.create_connection(address, min(left, 5.0))
        except OSError:  # Not there yet.
            time.sleep(_PAUSE)
            continue
        with host:
            own = {"name": cluster.names[cluster.mine], "facts": facts}
            _write(host, own)
            # It answers when all have come.
            said = _read(host, deadline)
            if "every" in said:
                return _looked_for(host, said, cluster, model_dir)
        time.sleep(_PAUSE)


def _looked_for(host, said, cluster, model_dir):
    """Looks for the first worker's file, and hears who does not see it."""
    _compare(said["every"])
    if said["file"] is None:
        return None
    _write(host, {"sees": _appears(model_dir / str(said["file"]))})
    # Every other worker may look as long as this one.
    patience = _PATIENCE * len(cluster.tasks)
    verdict = _read(host, time.monotonic() + patience)
    if "blind" not in verdict:
        raise _nobody(cluster.names[0], patience)
    return verdict["blind"]


def _appears(path):
    end = time.monotonic() + _SEEN_AFTER
    while not path.exists():
        if time.monotonic() > end:
            return False
        time.sleep(_PAUSE)
    return True


def _nobody(missing, seconds):
    return RunError(
        f"No word of {missing} for {seconds:g} seconds. Start the same command "
        "on all workers of TF_CONFIG, see to it that they reach each other, "
        "or wait longer: Runtime.workers_timeout."
    )


def _write(connection, content):
    with contextlib.suppress(OSError):  # It has gone; so it is told nothing.
        connection.sendall(json.dumps({_KEY: content}).encode() + b"\n")


def _read(connection, deadline=None):
    """One line of ours; {} for anything else."""
    end = time.monotonic() + _PATIENCE if deadline is None else deadline
    line = b""
    connection.settimeout(_PAUSE)
    while not line.endswith(b"\n") and len(line) < _LONGEST:
        if time.monotonic() > end:
            return {}
        try:
            part = connection.recv(2**16)
        except TimeoutError:
            continue
        except OSError:
            return {}
        if not part:
            return {}
        line += part
    try:
        said = json.loads(line)[_KEY]
    except (ValueError, LookupError, TypeError):
        return {}
    return said if isinstance(said, dict) else {}


def _compare(every):
    names = sorted({name for facts in every.values() for name in facts})
    differing = []
    for name in names:
        values = {w: facts.get(name, "not set") for w, facts in every.items()}
        if len({json.dumps(value) for value in values.values()}) > 1:
            told = ", ".join(f"{v} ({w})" for w, v in sorted(values.items()))
            differing.append(f"{name}: {told}")
    if differing:
        rest = len(differing) - _SHOWN
        more = f"; and {rest} more" if rest > 0 else ""
        raise UserError(
            f"The workers do not do the same: {'; '.join(differing[:_SHOWN])}"
            f"{more}. Start the same command, with the same files, on all."
        )
