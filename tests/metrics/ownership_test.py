"""Shares of weights, worked by hand."""

import math

import numpy as np
import pytest

from tfcl.metrics.ownership import ownership


def test_shares_of_two_layers_together():
    owners = [np.array([[0, 1], [2, 2]]), np.array([2, 3, 0, 0, 1, 1])]
    picks = [np.array([[1, 1], [0, 0]]), np.array([1, 1, 1, 1, 0, 0])]
    found = ownership(owners, task=2, width=1.5, picks=picks)
    assert found["sparsity"] == 3 / 6
    assert found["own"] == pytest.approx(1.5 * 3 / 10)
    assert found["free"] == pytest.approx(1.5 * 3 / 10)
    assert found["shared"] == pytest.approx(1 / 3)


def test_without_picks_everything_earlier_is_shared():
    assert ownership([np.array([1, 2, 0])], task=2)["shared"] == 1.0


def test_what_cannot_be_counted_is_nan():
    found = ownership([np.array([1, 1])], task=2)
    assert math.isnan(found["sparsity"]) and found["own"] == 0.0
    assert math.isnan(ownership([np.array([1, 1])], task=1)["shared"])
    assert all(math.isnan(v) for v in ownership([], task=1).values())
