"""The place inside a task."""

import numpy as np

from tfcl.engine.storage.position import BestEpoch, PhasePosition, Position


def _position():
    return Position(visit=0, task=0, fingerprint="f")


def test_phases_begin_anew_and_leave_history_and_result():
    position = _position()
    for number, name in enumerate(("fit", "prune")):
        assert position.phase is None and position.phase_number == number
        position.begin_phase()
        assert position.phase == PhasePosition()
        position.phase.best = BestEpoch(1, 0.5, 0.5, "a.npz", "ab")
        position.phase.history.append({"train/loss": float(number)})
        position.end_phase(name, {"epochs": 1})
    assert position.results == [{"epochs": 1}, {"epochs": 1}]
    assert position.histories == {
        "00_fit": [{"train/loss": 0.0}],
        "01_prune": [{"train/loss": 1.0}],
    }


def test_two_phases_share_no_list():
    one, other = PhasePosition(), PhasePosition()
    one.history.append({})
    one.sums["loss"] = 1.0
    assert (other.history, other.sums) == ([], {})


def test_curves_of_a_single_phase_go_without_its_name():
    position = _position()
    position.histories = {
        "00_fit": [
            {"train/loss": 2, "prior": [0.5, 0.5]},
            {"train/loss": 1, "validation/loss": 3.0, "prior": [0.25, 0.75]},
        ]
    }
    arrays = position.history_arrays()
    assert sorted(arrays) == ["prior", "train/loss", "validation/loss"]
    np.testing.assert_array_equal(arrays["train/loss"], [2.0, 1.0])
    assert arrays["train/loss"].dtype == np.float64
    np.testing.assert_array_equal(arrays["validation/loss"], [np.nan, 3.0])
    np.testing.assert_array_equal(arrays["prior"], [[0.5, 0.5], [0.25, 0.75]])


def test_curves_of_several_phases_are_told_apart():
    position = _position()
    position.histories = {
        "00_fit": [{"train/loss": 2.0}],
        "01_decide": [],
        "02_fit": [{"train/loss": 1.0}],
    }
    assert sorted(position.history_arrays()) == [
        "00_fit/train/loss",
        "02_fit/train/loss",
    ]
