"""What of a learned task's data is other than when it was learned."""

from __future__ import annotations

import typing

from absl import logging

from tfcl.errors import printable

if typing.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfcl.data.task import Task
    from tfcl.engine.storage.visit_record import VisitRecord


_SHOWN = 3  # Files of each kind that a message names.


def changes_of(
    record: VisitRecord, task: Task, known: Mapping[str, str]
) -> list[str]:
    """What has changed, a text each; [] if nothing has.

    Args:
        record: Of the learned task.
        task: `Task` of the same name with its data.
        known: Files of the learned task, as of `Bank.files`.
    """
    told = class_changes(record.class_names, task.class_names)
    files = bool(known) and bool(task.files)
    if files:
        told += file_changes(known, task.files)
    digests = record.split_digests
    for split, found in task.splits.items():
        size = record.sizes[split]
        if len(found) != size:
            told.append(f"{split} examples ({size} -> {len(found)})")
        elif not files and digests and digests[split] != found.digest():
            told.append(f"{split} examples (as many, but others)")
    return told


def class_changes(known: Sequence[str], found: Sequence[str]) -> list[str]:
    """What has changed of the classes of a task.

    Args:
        known, found: Their names, then and now.
    """
    if list(known) == list(found):
        return []
    gone = [name for name in known if name not in found]
    new = [name for name in found if name not in known]
    if not gone and not new:
        return ["order of the classes"]
    return [
        f"classes ({'; '.join([*_named('gone', gone), *_named('new', new)])})"
    ]


def file_changes(
    known: Mapping[str, str], found: Mapping[str, str]
) -> list[str]:
    """What has changed of the files of a task.

    Args:
        known, found: `{path: digest}`, then and now.
    """
    gone = {name: sha for name, sha in known.items() if name not in found}
    new = {name: sha for name, sha in found.items() if name not in known}
    places = {sha: name for name, sha in new.items()}
    moved = {name: places[sha] for name, sha in gone.items() if sha in places}
    came = [name for name in new if name not in moved.values()]
    other = [n for n, sha in known.items() if found.get(n, sha) != sha]
    told = [
        *_named("gone", [name for name in gone if name not in moved]),
        *_named("new", came),
        *_named("changed", other),
        *_named("moved", [f"{a} -> {b}" for a, b in moved.items()]),
    ]
    return [f"files ({'; '.join(told)})"] if told else []


def warn_of_changes(name: str, told: Sequence[str]) -> None:
    """Says that a task stays as it was learned, and the ways out.

    Args:
        name: Of the task.
        told: Of `changes_of`.
    """
    logging.warning(
        "Task '%s' is learned, and its data have changed since: %s. It stays "
        "as it was learned; the new data are not used. To learn them, give "
        "them another name, or remove the learned task first: tfcl tasks "
        "--remove=%s",
        name,
        ", ".join(told) or "how they are read or divided",
        name,
    )


def _named(what, names):
    """How many names there are, and the first ones."""
    if not names:
        return []
    shown = ", ".join(printable(name) for name in names[:_SHOWN])
    more = ", ..." if len(names) > _SHOWN else ""
    return [f"{len(names)} {what}: {shown}{more}"]
