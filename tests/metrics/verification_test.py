"""Face verification against the published program, and by hand."""

import math

import numpy as np
import pytest

from tests.testing import golden
from tfcl.metrics.verification import (
    THRESHOLDS,
    angular_distance,
    validation_rate,
    verification_accuracy,
)


@pytest.fixture(scope="module", name="data")
def _data():
    return golden.load("cpg/lfw_eval.npz")


def test_distances_are_the_published_ones(data):
    found = angular_distance(data["emb_a"], data["emb_b"])
    np.testing.assert_allclose(found, data["dist"], rtol=1e-12)


def test_accuracies_and_rates_are_the_published_ones(data):
    assert THRESHOLDS.shape == data["tpr"].shape
    folds = len(data["acc_folds"])
    found = verification_accuracy(data["dist"], data["same"], folds)
    for value, name in (
        (found.fold_accuracies, "acc_folds"),
        (found.mean, "acc_mean"),
        (found.std, "acc_std"),
        (found.true_positive_rate, "tpr"),
        (found.false_positive_rate, "fpr"),
    ):
        np.testing.assert_allclose(value, data[name], rtol=1e-12)


def test_the_threshold_comes_from_the_other_folds():
    # Fold 0 would like 0.25, fold 1 likes anything in (0.5, 0.9].
    distances = np.array([0.2, 0.4, 0.5, 0.9])
    same = np.array([True, False, True, False])
    found = verification_accuracy(
        distances, same, folds=2, thresholds=[0.25, 0.6]
    )
    # Fold 0 is tested at 0.6, fold 1 at 0.25.
    np.testing.assert_array_equal(found.fold_accuracies, [0.5, 0.5])
    assert (found.mean, found.std) == (0.5, 0.0)
    np.testing.assert_array_equal(found.true_positive_rate, [0.5, 1.0])
    np.testing.assert_array_equal(found.false_positive_rate, [0.0, 0.5])


def test_opposite_faces_are_as_far_as_orthogonal_ones():
    one = np.array([[1.0, 0.0]] * 3)
    others = np.array([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])
    np.testing.assert_allclose(angular_distance(one, others), [0, 2, 2])


def test_validation_rate_at_a_false_accept_rate():
    # Each fold: four different pairs 0.5, 0.6, 0.7, 0.8 and two same ones.
    distances = np.array([0.5, 0.6, 0.7, 0.8, 0.1, 0.55] * 2)
    same = np.array([False] * 4 + [True] * 2, bool)
    same = np.concatenate([same, same])
    # None may pass: below 0.5. One of four may: below 0.6. All may.
    for rate, wanted in (
        (0.0, (0.5, 0.0)),
        (0.25, (1.0, 0.25)),
        (0.49, (1.0, 0.25)),
        (1.0, (1.0, 1.0)),
    ):
        assert validation_rate(distances, same, rate, folds=2) == wanted


def test_rates_that_no_fold_defines_are_nan():
    accepted, wrong = validation_rate([0.1, 0.2], [True, True], folds=2)
    assert accepted == 1.0 and math.isnan(wrong)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: angular_distance(np.ones((2, 3)), np.ones((3, 3))), "others"),
        (lambda: verification_accuracy([0.1], [True, False]), "distances"),
        (lambda: verification_accuracy([0.1] * 9, [True] * 9), "folds"),
        (lambda: verification_accuracy([np.nan] * 20, [True] * 20), "finite"),
        (
            lambda: validation_rate([0.1] * 9, [True] * 9, -0.1, folds=3),
            "false_accept_rate",
        ),
    ],
)
def test_bad_input_is_refused(call, name):
    with pytest.raises(ValueError, match=f"{name}.*Received"):
        call()
