"""Exports in a run's folder, written again when the run has learned more."""

from __future__ import annotations

import pathlib
import shutil
import typing

from absl import logging

from tfcl.engine.serving.bundle import NAME, export_bundle
from tfcl.engine.serving.export import export_task
from tfcl.engine.serving.export_options import (
    FLOAT16,
    FULL_INTEGER,
    INT8,
    KERAS,
    LITERT,
    ONNX,
    ExportOptions,
)
from tfcl.engine.serving.formats import export_file
from tfcl.errors import UserError
from tfcl.files import read_json

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from tfcl.engine.serving.quantization import Examples
    from tfcl.engine.serving.served_facts import ServedFacts
    from tfcl.engine.storage.bank import BankedTask
    from tfcl.methods.base import Method


# What stands behind a task's name, and how it is written.
_FILES = {
    ".keras": ExportOptions(KERAS),
    ".tflite": ExportOptions(LITERT),
    f".{INT8}.tflite": ExportOptions(LITERT, INT8),
    f".{FLOAT16}.tflite": ExportOptions(LITERT, FLOAT16),
    f".{FULL_INTEGER}.tflite": ExportOptions(LITERT, FULL_INTEGER),
    ".onnx": ExportOptions(ONNX),
}
SUFFIXES = (*_FILES, ".labels.txt")


def bring_up_to_date(
    method: Method,
    entries: Sequence[BankedTask],
    folder: str | pathlib.Path,
    facts: ServedFacts,
    examples: Callable[[str, ExportOptions], Examples] | None = None,
    singles: bool = False,
) -> list[pathlib.Path]:
    """Writes what is exported in a folder again, by what is learned now.

    Of the newest task it writes what all others have; a bundle of all tasks
    gets it, too. Thresholds stay as they were. What cannot be written is said
    in the log, and does not keep the rest from it.

    Args:
        method: `Method`, set up, shared variables restored.
        entries: `BankedTask`s of all learned tasks, the newest last.
        folder: Folder of exports; it need not be there.
        facts: What `model.json` tells besides.
        examples: Function from a task's name and `ExportOptions` to what they
            need of its images.
        singles: Whether every task gets a SavedModel, exported before or not.

    Returns:
        Paths of what was written.

    Raises:
        RunError: If the disk is full or not writable.
    """
    place = pathlib.Path(folder)
    written: list[pathlib.Path] = []

    def write(function: Callable, *arguments: Any) -> None:
        try:
            written.append(function(method, *arguments))
        except (UserError, ValueError) as error:
            logging.warning("Not brought up to date: %s", error)

    def with_images(method: Method, entry: BankedTask, options: ExportOptions):
        found = None if examples is None else examples(entry.name, options)
        return export_file(method, entry, place, options, found)

    rejects = {e.name: threshold(place / e.name) for e in entries}
    models = {e.name for e in entries if _version(place / e.name)}
    for entry in entries if singles else _concerned(entries, models):
        # The newest takes the others' threshold.
        known = entry.name if entry.name in models else entries[0].name
        write(export_task, entry, place, facts, rejects[known])
    for suffix, options in _FILES.items():
        there = {e.name for e in entries if _file(place, e, suffix).exists()}
        for entry in _concerned(entries, there):
            write(with_images, entry, options)
    wanted, reject_below = _bundled(entries, place, {})
    if wanted:
        write(export_bundle, wanted, place, facts, reject_below)
    return written


def bundle_again(
    method: Method,
    entries: Sequence[BankedTask],
    folder: str | pathlib.Path,
    facts: ServedFacts,
    renamed: Mapping[str, str],
) -> None:
    """Writes the bundle of a folder again when tasks are renamed or removed.

    Without a bundle it does nothing; one none of whose tasks is left is
    deleted.

    Args:
        method: `Method`, set up, shared variables restored.
        entries: `BankedTask`s of all tasks.
        folder: Folder of exports; it need not be there.
        facts: What `model.json` tells besides.
        renamed: `{former name: name}` of tasks that the bundle may hold.

    Raises:
        UserError: If a task is called like the bundle.
        RunError: If the disk is full or not writable.
    """
    place = pathlib.Path(folder)
    wanted, reject_below = _bundled(entries, place, renamed)
    if wanted:
        export_bundle(method, wanted, place, facts, reject_below)
    elif "tasks" in _about(place / NAME):
        shutil.rmtree(place / NAME)


def _bundled(entries, place, renamed):
    """The tasks that a bundle there is to hold, and its threshold."""
    about = _about(place / NAME)
    if "tasks" not in about:
        return [], None
    names = [each["task"] for each in about["tasks"]]
    now = {renamed.get(name, name) for name in names}
    wanted = [e for e in entries if about["all_tasks"] or e.name in now]
    return wanted, about.get("reject_below")


def _concerned(entries, there):
    """The tasks of `there`, and the newest if all others are there."""
    if not entries:  # The user has removed all.
        return []
    *others, newest = entries
    new = bool(others) and all(each.name in there for each in others)
    return [e for e in entries if e.name in there or (new and e is newest)]


def _file(place, entry, suffix):
    return place / f"{entry.name}{suffix}"


def versions(folder: pathlib.Path) -> list[pathlib.Path]:
    """The SavedModels in a folder, which need not be there."""
    return [
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.name.isdecimal() and (path / "saved_model.pb").exists()
    ]


def _version(folder):
    """The newest SavedModel in a folder, None without."""
    return max(versions(folder), key=lambda path: int(path.name), default=None)


def _about(folder):
    """What the newest SavedModel in a folder tells of itself."""
    path = _version(folder)
    if path is None:
        return {}
    try:
        content = read_json(path / "assets" / "model.json")
        # Those of older versions do not tell it.
        return {"all_tasks": True, **content}
    except (OSError, ValueError, TypeError):
        return {}


def threshold(folder: pathlib.Path) -> float | None:
    """Below what the newest SavedModel in a folder rejects, None if never."""
    return _about(folder).get("reject_below")
