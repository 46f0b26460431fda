"""The record of a learned task as JSON; see also `journal_test.py`."""

from tfcl.engine.storage.position import Peak
from tfcl.engine.storage.visit_record import VisitRecord


def _record(**changes):
    settings = {
        "index": 0,
        "visit": 1,
        "name": "cats",
        "fingerprint": "f",
        "class_names": ["tabby", "manx"],
        "sizes": {"train": 8, "validation": 4, "test": 4},
        "epochs": 2,
        "steps": 20,
        "seconds": 1.5,
        "validation_accuracy": None,
        "peak": None,
        "phases": [],
        "notes": {},
        "labels": {},
        "footprint": {},
        "row": [0.5],
    }
    return VisitRecord(**{**settings, **changes})


def test_only_tasks_of_pairs_have_a_verification():
    plain = _record()
    assert "verification" not in plain.to_json()
    pairs = _record(verification={"folds": [0.5], "std": 0.0})
    assert pairs.to_json()["verification"] == {"folds": [0.5], "std": 0.0}
    for record in (plain, pairs):
        assert VisitRecord.from_json(record.to_json()) == record


def test_the_peak_is_a_record_of_its_own():
    record = _record(peak=Peak(2, 0.5, 0.25))
    data = record.to_json()
    assert data["peak"] == {
        "epoch": 2,
        "validation_accuracy": 0.5,
        "test_accuracy": 0.25,
    }
    assert VisitRecord.from_json(data).peak == Peak(2, 0.5, 0.25)
