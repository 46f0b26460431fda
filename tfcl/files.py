"""Files that are either the old ones or the new ones, never half of each."""

from __future__ import annotations

import json
import os
import pathlib
import re
import tempfile
import typing

from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    from typing import Any


# Of a URL; a path could only have it after a slash.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


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
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        pathlib.Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # a failed write knows no name
        raise


def write_json(path: str | pathlib.Path, value: Any) -> None:
    """Writes `value` as JSON, atomically; NaN is refused (use None)."""
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
    write_atomically(path, text + "\n")


def read_json(path: str | pathlib.Path) -> Any:
    """Reads a JSON file."""
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
