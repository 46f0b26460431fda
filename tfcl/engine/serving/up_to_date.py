"""Exports that are not of what the run answers today."""

from __future__ import annotations

import pathlib
import typing

if typing.TYPE_CHECKING:
    from collections.abc import Sequence

    from tfcl.engine.storage.visit_record import VisitRecord


def outdated(folder: pathlib.Path, records: Sequence[VisitRecord]) -> list[str]:
    """Tasks whose SavedModel is missing, or answers otherwise than the run.

    A task is known to answer as before if it reads the same variables, bit by
    bit, as when the run had learned as many tasks as the export's version
    says.

    Args:
        folder: Of exports.
        records: Of all visits of the run.

    Returns:
        Names of tasks, in the order of their indices.
    """
    newest = {record.index: record for record in records}
    return [
        newest[index].name
        for place, index in enumerate(sorted(newest))
        if _digest(records, version_in(folder / newest[index].name), place)
        != _digest(records, len(records), place)
    ]


def version_in(folder: pathlib.Path) -> int | None:
    """The highest version of a SavedModel's folder, None without one."""
    if not folder.is_dir():
        return None
    found = [int(p.name) for p in folder.iterdir() if p.name.isdecimal()]
    return max(found, default=None)


def _digest(records, version, place):
    """What the task at a place of the row read, or what differs from it."""
    if version is None or not 0 < version <= len(records):
        return "none"
    digests = records[version - 1].read_digests
    return digests[place] if place < len(digests) else None
