"""Confusions, worked by hand."""

import numpy as np
import pytest

from tfcl.metrics.confusion import (
    class_accuracies,
    confused_pairs,
    confusion_counts,
)

# Class 0: one of three right. Class 1: both right. Class 2: no example.
# Class 3: one, taken for 1.
_LABELS = np.array([0, 0, 0, 1, 1, 3], np.uint16)
_GIVEN = np.array([0, 2, 2, 1, 1, 1], np.uint16)
_COUNTS = np.array([[1, 0, 2, 0], [0, 2, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]])


def test_counts_have_true_classes_as_rows():
    found = confusion_counts(_LABELS, _GIVEN, 4)
    np.testing.assert_array_equal(found, _COUNTS)
    assert confusion_counts(_LABELS[:0], _GIVEN[:0], 2).tolist() == [[0, 0]] * 2


def test_each_class_has_accuracy_and_support():
    accuracies, support = class_accuracies(_COUNTS)
    np.testing.assert_allclose(accuracies, [1 / 3, 1, np.nan, 0])
    assert support.tolist() == [3, 2, 0, 1]


def test_pairs_come_by_how_often_they_are_confused():
    assert confused_pairs(_COUNTS) == [(0, 2, 2), (3, 1, 1)]
    assert confused_pairs(np.array([[1, 1], [1, 1]])) == [(0, 1, 1), (1, 0, 1)]
    assert _COUNTS[0, 0] == 1  # Left as it was.


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="one entry per example"):
        confusion_counts(_LABELS, _GIVEN[:-1], 4)
    with pytest.raises(ValueError, match=r"classes 0..2. Received: 0..3"):
        confusion_counts(_LABELS, _GIVEN, 3)
