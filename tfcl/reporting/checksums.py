"""The file results.sha256, by which damaged results are found.

It has the form of the program sha256sum: `sha256sum -c results.sha256`.
"""

from __future__ import annotations

import hashlib
import pathlib
import typing

if typing.TYPE_CHECKING:
    from collections.abc import Mapping


NAME = "results.sha256"


def text(contents: Mapping[str, str]) -> str:
    """Text of the file for `{file name: text}`."""
    return "".join(
        f"{hashlib.sha256(content.encode()).hexdigest()}  {name}\n"
        for name, content in contents.items()
    )


def faults(model_dir: str | pathlib.Path) -> list[str]:
    """What of a run's results is not as it was written, a text each.

    Args:
        model_dir: Folder of the run.

    Returns:
        Empty if all is well, and where there is no file of checksums, as
        older versions wrote none.
    """
    folder = pathlib.Path(model_dir)
    try:
        lines = (folder / NAME).read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        return [f"{NAME} cannot be read ({error})"]
    listed = dict(line.split("  ", 1)[::-1] for line in lines if "  " in line)
    found = [
        fault
        for name, sha in listed.items()
        if (fault := _fault(folder / name, sha))
    ]
    if "results.json" not in listed:
        found.append(f"{NAME} is damaged")
    return found


def _fault(path, sha):
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror})"
    if hashlib.sha256(content).hexdigest() != sha:
        return f"{path.name} differs from its checksum"
    return None
