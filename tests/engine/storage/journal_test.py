"""The journal as text, of today and of older formats."""

import copy
import json

import numpy as np
import pytest

from tests.engine.training.parts import STREAM
from tfcl.engine.storage.journal import FORMAT, Journal
from tfcl.engine.storage.position import (
    BestEpoch,
    Peak,
    PhasePosition,
    Position,
)
from tfcl.engine.storage.visit_record import VisitRecord
from tfcl.errors import RunError

# As version 0.1 wrote them.
_PEAK = {"epoch": 2, "validation_accuracy": 0.5, "test_accuracy": 0.25}
_BEST = {
    "epoch": 1,
    "validation_accuracy": 0.75,
    "value": 0.125,
    "file": "visit_001.npz",
    "sha256": "ab",
}
_VISIT = {
    "index": 0,
    "visit": 0,
    "name": "cats",
    "fingerprint": "f0",
    "class_names": ["tabby", "manx"],
    "sizes": {"train": 8, "validation": 4, "test": 4},
    "epochs": 2,
    "steps": 20,
    "seconds": 1.5,
    "validation_accuracy": 0.5,
    "peak": _PEAK,
    "phases": [{"epochs": 2}],
    "notes": {"width": 1},
    "labels": {"prior": ["0", "1"]},
    "footprint": {"task_parameters": 3, "task_bytes": 12},
    "row": [0.75],
    "losses": [0.5],
    "top5": [None],
    "verification": {"folds": [0.5], "std": 0.0},
}
_POSITION = {
    "visit": 1,
    "task": 1,
    "fingerprint": "f1",
    "structure": {"width": 2},
    "results": [{"epochs": 3}],
    "in_phase": True,
    "histories": {"00_first": [{"train/loss": 1.0}]},
    "steps": 7,
    "epochs": 3,
    "seconds": 0.5,
    "peak": _PEAK,
    "epoch": 1,
    "step": 2,
    "skipped": 1,
    "sums": {"loss": 2.0, "prior": [1.0, 2.0]},
    "history": [{"train/loss": 0.5}],
    "best": _BEST,
}
_FORMAT_2 = {
    "format": 2,
    "visits": [_VISIT],
    "position": _POSITION,
    "global_step": 27,
    "run_epoch": 5,
    "skipped_steps": 1,
    "seconds": 2.0,
    "saves": 4,
    "structure": {"width": 3},
    "bindings": {"A.b": "1"},
    "start_files": {"a.npz": {"file": "0_a.npz", "sha256": "cd"}},
}


def _read(*without, **changed):
    """The journal of a text of format 2, without a key `a`, `("a", "b")`."""
    data = copy.deepcopy(_FORMAT_2)
    for path in without:
        *parents, name = path
        place = data
        for parent in parents:
            place = place[parent]
        del place[name]
    data["position"] = changed.pop("position", data["position"])
    return Journal.loads(json.dumps({**data, **changed}))


def _whole():
    return Journal(
        bindings={"A.b": "1"},
        visits=[VisitRecord(**{**_VISIT, "peak": Peak(2, 0.5, 0.25)})],
        position=Position(
            visit=1,
            task=1,
            fingerprint="f1",
            structure={"width": 2},
            results=[{"epochs": 3}],
            histories={"00_first": [{"train/loss": 1.0}]},
            steps=7,
            epochs=3,
            seconds=0.5,
            peak=Peak(2, 0.5, 0.25),
            phase=PhasePosition(
                epoch=1,
                step=2,
                skipped=1,
                sums={"loss": 2.0, "prior": [1.0, 2.0]},
                history=[{"train/loss": 0.5}],
                best=BestEpoch(1, 0.75, 0.125, "visit_001.npz", "ab"),
            ),
        ),
        global_step=27,
        run_epoch=5,
        skipped_steps=1,
        seconds=2.0,
        saves=4,
        structure={"width": 3},
        start_files={"a.npz": {"file": "0_a.npz", "sha256": "cd"}},
    )


def test_a_text_gives_the_journal_again():
    journal = _whole()
    text = journal.dumps()
    assert json.loads(text)["format"] == FORMAT
    assert Journal.loads(text) == journal
    assert Journal.loads(Journal().dumps()) == Journal()


def test_numbers_that_are_not_finite_come_back():
    journal = _whole()
    journal.position.phase.history[0]["train/loss"] = float("nan")
    (record,) = Journal.loads(journal.dumps()).position.phase.history
    assert np.isnan(record["train/loss"])


def test_format_2_is_read_whole():
    assert _read() == _whole()


def test_between_two_phases_format_2_held_rests_of_the_last_one():
    rests = {**_POSITION, "in_phase": False}
    del rests["history"]  # It had moved to the histories.
    found = _read(position=rests)
    wanted = _whole()
    wanted.position.phase = None
    assert found == wanted


def test_format_2_before_the_first_phase_and_between_tasks():
    of_phases = ("epoch", "step", "skipped", "sums", "history", "best")
    begun = {k: v for k, v in _POSITION.items() if k not in of_phases}
    assert _read(position={**begun, "in_phase": False}).position.phase is None
    assert _read(position=None).position is None


# Keys that came later, and what holds where they are missing: the object and
# the name of its attribute, and the value.
_LATER = {
    ("start_files",): (lambda found: found, {}),
    ("structure",): (lambda found: found, None),
    ("skipped_steps",): (lambda found: found, 0),
    ("visits", 0, "losses"): (lambda found: found.visits[0], []),
    ("visits", 0, "top5"): (lambda found: found.visits[0], []),
    ("visits", 0, "verification"): (lambda found: found.visits[0], None),
    ("position", "structure"): (lambda found: found.position, None),
    ("position", "skipped"): (lambda found: found.position.phase, 0),
    ("position", "best"): (lambda found: found.position.phase, None),
    # Before there was a choice, the accuracy decided.
    ("position", "best", "value"): (
        lambda found: found.position.phase.best,
        0.75,
    ),
}


@pytest.mark.parametrize("path", _LATER, ids=repr)
def test_keys_that_came_later_have_a_value(path):
    owner, value = _LATER[path]
    wanted = _whole()
    setattr(owner(wanted), path[-1], value)
    assert _read(path) == wanted != _whole()


@pytest.mark.parametrize("written", [1, FORMAT + 1])
def test_an_unknown_format_ends_in_one_line(written):
    wanted = f"written in format {written}, .* reads formats 2 and {FORMAT}"
    with pytest.raises(RunError, match=wanted):
        _read(format=written)


def test_a_task_begins_where_the_method_stands_and_a_resumed_one_does_not():
    journal = Journal(structure={"width": 2})
    task = STREAM.tasks[1]
    journal.begin_task(task)
    wanted = Position(0, 1, task.fingerprint(), {"width": 2}, name=task.name)
    assert journal.position == wanted
    journal.position.steps = 5
    journal.begin_task(task)
    assert journal.position.steps == 5


def test_an_ended_task_is_a_visit():
    journal, record = Journal(), _whole().visits[0]
    journal.begin_task(STREAM.tasks[0])
    journal.end_task(record)
    assert (journal.visits, journal.position) == ([record], None)


def test_matrices_hold_nan_where_nothing_was_measured():
    first = _whole().visits[0]
    second = VisitRecord(**{**_VISIT, "row": [0.5, 1.0], "top5": [None, 0.5]})
    second.losses = []  # Of before they were noted.
    journal = Journal(visits=[first, second])
    nan = np.nan
    found = [
        journal.accuracy_matrix(3),
        journal.loss_matrix(3),
        journal.top5_matrix(3),
    ]
    wanted = [
        [[0.75, nan, nan], [0.5, 1.0, nan]],
        [[0.5, nan, nan], [nan, nan, nan]],
        [[nan, nan, nan], [nan, 0.5, nan]],
    ]
    np.testing.assert_array_equal(found, wanted)
    assert Journal().accuracy_matrix(3).shape == (0, 3)
