"""Files that are either the old ones or the new ones, locks, what to do.

Here is what all that writes files needs of the file system.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import re
import stat
import tempfile
import typing

import filelock

from tfcl.errors import RunError, UserError

if typing.TYPE_CHECKING:
    from typing import Any


# Of a URL; a path could only have it after a slash.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


# File systems that know no locks of the operating system, as some in a
# network, or give none.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
_WAYS_OUT = {
    "Make room": (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    "See to it that you may write there": (errno.EACCES, errno.EPERM),
    "Its disk is mounted read-only: mount it for writing": (errno.EROFS,),
    "A folder on the way is gone: make it again": (errno.ENOENT,),
    "Something else is in its place: move that away": (
        *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY),
        errno.ELOOP,
    ),
    "The name is too long: give shorter names": (errno.ENAMETOOLONG,),
    "Raise the limit of open files (ulimit -n)": (errno.EMFILE, errno.ENFILE),
    "See that its disk, or the network that it is on, works": (
        *(errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE),
        *(errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENETDOWN, errno.ENOTCONN),
    ),
}


def way_out(error: Exception) -> str:
    """What a user can do about a file that cannot be written; no full stop.

    Args:
        error: An `OSError`, or an error of TensorFlow whose text ends in one.
    """
    number = getattr(error, "errno", None)
    for advice, numbers in _WAYS_OUT.items():
        texts = map(os.strerror, numbers)
        if number in numbers or (
            number is None and any(text in str(error) for text in texts)
        ):
            return advice
    return "Remove the cause"


def cannot(
    what: str,
    error: Exception,
    reason: str | None = None,
    kept: str = "",
    then: str = "and start the same command again",
) -> RunError:
    """The error to raise for something that could not be written.

    Args:
        what: "write the best weights to runs/a" and the like.
        error: See `way_out`.
        reason: What the machine said; by default the error's first line.
        kept: A sentence on what is not lost.
        then: What to do after the way out.
    """
    told = reason or str(error).split("\n", maxsplit=1)[0]
    kept = kept and f"{kept} "
    return RunError(f"Cannot {what}: {told}. {kept}{way_out(error)}, {then}.")


def lock(path: str | pathlib.Path, wait: bool) -> filelock.BaseFileLock:
    """Locks a file, made if missing, until `release` or the process's end.

    Where the file system has no locks, a file beside it, `<name>.soft`, says
    who holds it; that of a process of this machine that is dead is removed.

    Args:
        path: Of the file.
        wait: Until whoever holds it lets go.

    Raises:
        filelock.Timeout: If another holds it and this one does not wait; its
            `lock_file` is the file that says so.
        OSError: If the file cannot be written.
    """
    seconds = -1 if wait else 0
    # Not filelock's own way to go on: it makes the lock's file the soft one.
    found: filelock.BaseFileLock = filelock.FileLock(
        path, thread_local=False, fallback_to_soft=False
    )
    try:
        found.acquire(timeout=seconds)
        return found
    except filelock.Timeout:
        raise
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    found = filelock.SoftFileLock(f"{path}.soft", thread_local=False)
    # The first time it removes what a dead process has left.
    with contextlib.suppress(filelock.Timeout):
        found.acquire(timeout=0)
    if not found.is_locked:
        found.acquire(timeout=seconds)
    return found


def local_path(path: str | pathlib.Path, name: str) -> str:
    """A path that a user has given, with `~` expanded.

    Args:
        path: Of a file or folder, existing or not.
        name: Of the flag or argument, for the message.

    Raises:
        UserError: If it is a URL (`gs://...`), which would become a folder of
            that name, or the home of a user that there is not.
    """
    path = os.fspath(path)
    if _SCHEME.match(path):
        raise UserError(
            f"{name} {path}: only paths of this machine are read and written. "
            "Mount the bucket as a folder, or copy it, and give that path."
        )
    found = os.path.expanduser(path)
    if found.startswith("~"):
        raise UserError(
            f"{name} {path}: there is no such user. Write ./{path} for a file "
            "of that name."
        )
    return found


# What `mkstemp` makes of the arguments below; nobody else names files so.
_LEFT_OVER = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")


def write_atomically(path: str | pathlib.Path, content: bytes | str) -> None:
    """Writes `content` to `path` so that a kill leaves the old or the new file.

    The content goes to a temporary file in the same folder, is flushed to the
    disk and renamed. On failure (a full disk) the temporary file is removed
    and the old file stays as it was.

    Args:
        path: File to write; missing folders are made.
        content: `str` (written as UTF-8) or `bytes`.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = content.encode("utf-8")
    descriptor, temporary = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # For other readers; some file systems let no one change modes.
        with contextlib.suppress(PermissionError, NotImplementedError):
            os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        pathlib.Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # a failed write knows no name
        raise


def sweep(folder: str | pathlib.Path) -> None:
    """Removes what kills have left of `write_atomically` in a folder.

    Other files stay, whatever they are called.

    Args:
        folder: With the folders below it; nobody else may write there now.
    """
    for path in pathlib.Path(folder).rglob(".*.tmp"):
        if _LEFT_OVER.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def refuse_special(folder: str | pathlib.Path) -> None:
    """Refuses a folder with pipes, devices or sockets: to read one may not end.

    Args:
        folder: Of a run, with the folders below it; it may be missing.

    Raises:
        RunError: With the path of the first one.
    """
    for path in sorted(pathlib.Path(folder).rglob("*")):
        try:
            mode = path.stat().st_mode
        except OSError:  # Gone, or a link to nothing: whoever reads it says so.
            continue
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise RunError(
                f"{path} is a pipe, a device or a socket and no file. Remove "
                "it, and restore the file from a copy."
            )


def write_json(path: str | pathlib.Path, value: Any) -> None:
    """Writes `value` as JSON, atomically; NaN is refused (use None)."""
    write_atomically(path, json_text(value))


def json_text(value: Any) -> str:
    """The text that `write_json` writes."""
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
    return text + "\n"


def read_json(path: str | pathlib.Path) -> Any:
    """Reads a JSON file."""
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
