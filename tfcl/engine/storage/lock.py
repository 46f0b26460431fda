"""One process per model directory."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket

import filelock

from tfcl import files
from tfcl.errors import UserError


class DirectoryLock:
    """Holds `model_dir` for this process until it ends.

    The operating system drops the lock when the process dies, however it
    dies, so a stale lock cannot remain. Where the file system has no locks,
    see `tfcl.files.lock`.

    Args:
        folder: `model_dir`; made if missing.

    Raises:
        UserError: If another process holds it, or it cannot be written.
    """

    def __init__(self, folder: str | pathlib.Path):
        path = self._path = pathlib.Path(folder) / ".lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = files.lock(path, wait=False)
        except filelock.Timeout as error:
            raise UserError(_in_use(folder, error.lock_file)) from error
        except OSError as error:
            raise UserError(
                f"Cannot write to --model_dir {folder}: {error.strerror}. "
                f"{files.way_out(error)}, or choose another folder."
            ) from error
        if not isinstance(self._lock, filelock.SoftFileLock):
            holder = f"process {os.getpid()} on {socket.gethostname()}"
            # Only a courtesy to others: a full disk is reported where it
            # matters.
            with contextlib.suppress(OSError):
                path.write_text(holder, encoding="utf-8")

    def release(self, and_remove: bool = False) -> None:
        """Releases the folder.

        Args:
            and_remove: Remove a folder that holds nothing else.
        """
        folder = self._path.parent
        if and_remove and list(folder.glob("*")) == [self._path]:
            self._path.unlink()
            folder.rmdir()
        self._lock.release()


def _in_use(folder, path):
    lines = []
    with contextlib.suppress(OSError, ValueError):
        lines = pathlib.Path(path).read_text(encoding="utf-8").split("\n")
    holder, removal = (lines or [""])[0].strip(), ""
    if path.endswith(".soft"):
        # A process of another machine cannot be asked whether it lives.
        holder = f"process {holder} on {''.join(lines[1:2])}"
        removal = f" If it has ended, remove {path}."
    return (
        f"--model_dir {folder} is in use by {holder or 'another process'}. "
        f"Wait for it, stop it, or choose another folder.{removal}"
    )
