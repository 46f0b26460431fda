"""Files that are either the old ones or the new ones, never half of each."""

from __future__ import annotations

import json
import os
import pathlib
import re
import tempfile
import typing

if typing.TYPE_CHECKING:
    from typing import Any


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
