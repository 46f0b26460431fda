"""What belongs to a save, and in which order it is done."""

import json

import pytest

from tests.engine.training.parts import (
    FakeBestWeights,
    FakeCheckpoints,
    FakeMethod,
)
from tfcl.engine.storage.journal import Journal
from tfcl.engine.storage.position import BestEpoch, Position
from tfcl.engine.storage.saver import Saver
from tfcl.errors import Interrupted


class _Checkpoints(FakeCheckpoints):
    def __init__(self, calls):
        super().__init__()
        self.calls = calls

    def save(self, method, journal):
        super().save(method, journal)
        self.calls.append("checkpoint")

    def restore(self, method, between_tasks):
        del method
        self.calls.append(f"restore {between_tasks}")


class _BestWeights(FakeBestWeights):
    def __init__(self, calls):
        super().__init__()
        self.calls = calls

    def collect(self, journal):
        del journal
        self.calls.append("collect")


def _saver(calls):
    return Saver(
        FakeMethod(),
        Journal(position=Position(0, 0, "f")),
        _Checkpoints(calls),
        _BestWeights(calls),
        lambda: calls.append("flush"),
    )


def test_what_a_checkpoint_refers_to_is_there_before_it_and_left_after_it():
    calls = []
    saver = _saver(calls)
    with saver.working_time:
        saver.save()
        (text,) = saver._checkpoints.texts
    assert calls == ["flush", "checkpoint", "collect"]
    written = json.loads(text)
    assert written["structure"] == {"width": 1}
    assert 0 < written["seconds"] <= saver.journal.seconds


def test_a_save_waits_until_it_is_due():
    calls = []
    saver = _saver(calls)
    saver.save_if_due()
    assert not calls
    saver._checkpoints.is_due = True
    saver.save_if_due()
    assert "checkpoint" in calls


def test_a_stop_is_saved_first():
    calls = []
    with pytest.raises(Interrupted):
        _saver(calls).save_and_stop()
    assert "checkpoint" in calls


def test_pending_variables_are_those_inside_a_task():
    calls = []
    _saver(calls).restore_pending()
    assert calls == ["restore False"]


def test_best_weights_are_kept_by_their_note():
    saver = _saver([])
    note = saver.save_best({}, 2, 0.5, 0.25)
    assert note == BestEpoch(2, 0.5, 0.25, "a.npz", "0")
    assert saver.best_values(note) == {}
    assert saver.best_values(None) is None
