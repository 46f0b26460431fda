"""One process per model directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import socket

from tfcl.errors import UserError


class DirectoryLock:
    """Holds `model_dir` for this process until it ends.

    The operating system drops the lock when the process dies, however it
    dies, so a stale lock cannot remain.

    Args:
        folder: `model_dir`; made if missing.

    Raises:
        UserError: If another process holds it, or it cannot be written.
    """

    def __init__(self, folder: str | pathlib.Path):
        path = pathlib.Path(folder) / ".lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a+", encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"Cannot write to --model_dir {folder}: {error.strerror}. "
                "Choose a folder that you may write to."
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise UserError(
                f"--model_dir {folder} is in use by {holder}. Wait for it, "
                "stop it, or choose another folder."
            ) from error
        holder = f"process {os.getpid()} on {socket.gethostname()}"
        # Only a courtesy to others: a full disk is reported where it matters.
        with contextlib.suppress(OSError):
            os.ftruncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), holder.encode())

    def release(self) -> None:
        """Releases the folder."""
        self._file.close()
