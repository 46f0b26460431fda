"""Calibration, worked by hand."""

import numpy as np
import pytest

from tfcl.metrics.calibration import (
    calibration_bins,
    expected_calibration_error,
)

_SCORES = np.array([0.1, 0.5, 0.4, 0.9, 0.8, 1.0, 0.6])
_RIGHT = np.array([False, True, False, True, False, True, True])


def test_two_bins_by_hand():
    found = calibration_bins(_SCORES, _RIGHT, bins=2)
    # 0.5 ends the first bin and belongs to it.
    assert found.counts.tolist() == [3, 4]
    assert found.right.tolist() == [1, 3]
    np.testing.assert_allclose(found.confidences, [1 / 3, 3.3 / 4])
    np.testing.assert_allclose(found.accuracies, [1 / 3, 3 / 4])
    # 3/7 * 0 + 4/7 * 0.075
    wanted = 4 / 7 * 0.075
    assert expected_calibration_error(found) == pytest.approx(wanted)


def test_fifteen_bins_unless_told_and_empty_ones_do_not_count():
    found = calibration_bins(np.array([1.0, 0.95, 0.0]), np.array([1, 0, 0]))
    assert len(found.counts) == 15
    assert (found.counts[0], found.counts[14]) == (1, 2)
    assert np.isnan(found.accuracies[1:14]).all()
    assert np.isnan(found.confidences[1:14]).all()
    # Last bin: half right at 0.975; the first: wrong at 0.
    wanted = 2 / 3 * 0.475
    assert expected_calibration_error(found) == pytest.approx(wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_end_of_a_bin_belongs_to_it_in_every_precision(dtype):
    scores = (np.arange(1, 16) / 15).astype(dtype)
    found = calibration_bins(scores, np.ones(15, bool))
    assert found.counts.tolist() == [1] * 15


def test_an_answer_that_is_as_sure_as_it_is_right_has_no_error():
    scores = np.full(10, 0.7)
    right = np.arange(10) < 7
    found = calibration_bins(scores, right)
    assert expected_calibration_error(found) == pytest.approx(0, abs=1e-12)


def test_without_examples_there_is_no_error_to_tell():
    found = calibration_bins(np.zeros(0), np.zeros(0, bool))
    assert np.isnan(expected_calibration_error(found))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="one entry per example"):
        calibration_bins(_SCORES, _RIGHT[:2])
    with pytest.raises(ValueError, match="0 to 1. Received: 0.2 to 2"):
        calibration_bins(_SCORES * 2, _RIGHT)
    with pytest.raises(ValueError, match="0 to 1"):
        calibration_bins(np.array([np.nan]), np.array([True]))
