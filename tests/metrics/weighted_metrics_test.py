"""Accuracy and backward transfer by test images, as SPG's program."""

import numpy as np

from tests.testing import golden
from tfcl.metrics.accuracy_matrix import backward_transfer
from tfcl.metrics.weighted_metrics import (
    weighted_accuracy_curve,
    weighted_backward_transfer_curve,
)


def test_both_are_those_of_the_program():
    data = golden.load("spg/metrics.npz")
    arguments = data["acc_matrix"], data["num_test"]
    np.testing.assert_allclose(
        weighted_accuracy_curve(*arguments), data["acc"], rtol=1e-12
    )
    np.testing.assert_allclose(
        weighted_backward_transfer_curve(*arguments), data["bt"], atol=1e-12
    )


def test_of_equal_sizes_it_is_the_usual_one():
    matrix = np.tril(np.random.default_rng(0).uniform(size=(5, 5)))
    found = weighted_backward_transfer_curve(matrix, [7] * 5)
    np.testing.assert_allclose(found[-1], backward_transfer(matrix))
    assert found[0] == 0.0
