"""What has changed of a learned task is told by names, a few and the count."""

import logging

from tests.engine.continuing.growth_test import stream_of
from tfcl.engine.continuing import changes
from tfcl.engine.storage.visit_record import VisitRecord

_FILES = {f"cat/{k}.png": f"{k:016x}" for k in range(6)}


def _record(task, **facts):
    splits = task.splits.items()
    known = dict.fromkeys(VisitRecord.__dataclass_fields__)
    known |= {
        "class_names": list(task.class_names),
        "sizes": {name: len(split) for name, split in splits},
        "split_digests": {name: split.digest() for name, split in splits},
        **facts,
    }
    return VisitRecord(**known)


def test_files_that_came_went_changed_or_moved():
    found = dict(_FILES)
    del found["cat/0.png"]
    found["cat/1.png"] = "other"
    found["dog/2.png"] = found.pop("cat/2.png")
    found["cat/new\x1b.png"] = "new"
    assert changes.file_changes(_FILES, found) == [
        "files (1 gone: cat/0.png; 1 new: cat/new\\x1b.png; 1 changed: "
        "cat/1.png; 1 moved: cat/2.png -> dog/2.png)"
    ]
    assert changes.file_changes(_FILES, dict(_FILES)) == []


def test_of_many_files_a_few_are_named():
    (told,) = changes.file_changes(_FILES, {})
    assert told == "files (6 gone: cat/0.png, cat/1.png, cat/2.png, ...)"


def test_classes_and_their_order():
    assert changes.class_changes(["a", "b"], ("a", "b")) == []
    assert changes.class_changes(["a", "b"], ["b", "a"]) == [
        "order of the classes"
    ]
    assert changes.class_changes(["a", "b"], ["b", "c"]) == [
        "classes (1 gone: a; 1 new: c)"
    ]


def test_parts_by_their_numbers_or_else_their_content():
    task = stream_of(0)().tasks[0]
    assert changes.changes_of(_record(task), task, {}) == []
    other = {"train": "other", **_record(task).split_digests, "test": "other"}
    record = _record(task, split_digests=other)
    assert changes.changes_of(record, task, {}) == [
        "test examples (as many, but others)"
    ]
    record.sizes["train"] = 7
    assert changes.changes_of(record, task, {})[0] == (
        f"train examples (7 -> {len(task.train)})"
    )


def test_the_ways_out_are_told(caplog):
    with caplog.at_level(logging.WARNING):
        changes.warn_of_changes("boats", [])
    assert "how they are read or divided" in caplog.text
    assert "another name, or remove" in caplog.text
    assert "tfcl tasks --remove=boats" in caplog.text
