"""Finished phases are told, not trained."""

import contextlib
import types

import pytest

from tfcl.engine.replay import replay
from tfcl.engine.storage.journal import Journal
from tfcl.engine.storage.position import Position


class _Saver:
    def __init__(self, results=(), in_phase=False):
        self.journal = Journal(
            position=Position(0, 0, "f", results=list(results))
        )
        if in_phase:
            self.journal.position.begin_phase()
        self.calls = []

    def save(self):
        self.calls.append("save")

    def restore_pending(self):
        self.calls.append("restore")


_STRATEGY = types.SimpleNamespace(scope=contextlib.nullcontext)


def _phases(calls):
    """Three phases; the code between them notes what it was told."""
    for number in range(3):
        phase = types.SimpleNamespace(name=f"phase_{number}", result=None)
        told = yield phase
        calls.append(f"told {told['number']}")


def _gone_through(saver):
    for phase in replay(_phases(saver.calls), saver, _STRATEGY):
        number = int(phase.name[-1])
        saver.calls.append(f"train {number}")
        phase.result = {"number": number}
    return saver.calls


def test_a_new_task_trains_and_saves_every_phase():
    saver = _Saver()
    wanted = []
    for number in range(3):
        wanted += [f"train {number}", "save", f"told {number}"]
    assert _gone_through(saver) == wanted
    names = ["00_phase_0", "01_phase_1", "02_phase_2"]
    assert list(saver.journal.position.histories) == names
    assert saver.journal.position.phase is None


@pytest.mark.parametrize(
    "finished, in_phase, begin",
    [
        # Saved inside the first phase.
        (0, True, ["restore", "train 0"]),
        # Saved behind the first one: before the code that follows its yield.
        (1, False, ["restore", "told 0", "train 1"]),
        # Saved inside the second one: only once that begins again.
        (1, True, ["told 0", "restore", "train 1"]),
        (2, False, ["told 0", "restore", "told 1", "train 2"]),
        (3, False, ["told 0", "told 1", "restore", "told 2"]),
    ],
)
def test_variables_return_where_they_were_saved(finished, in_phase, begin):
    results = [{"number": number} for number in range(finished)]
    calls = _gone_through(_Saver(results, in_phase))
    assert calls[: len(begin)] == begin
    assert calls.count("restore") == 1
    assert calls.count("save") == 3 - finished
