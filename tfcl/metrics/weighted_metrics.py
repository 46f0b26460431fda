"""Metrics of SPG: tasks count by their test images.

`R` and `test_sizes` (n) as in `tfcl.metrics.accuracy_matrix`.

Source: Konishi et al., ICML 2023, and its program.
"""

import numpy as np
from numpy.typing import ArrayLike

from tfcl.metrics.accuracy_matrix import checked


def weighted_accuracy_curve(R: ArrayLike, test_sizes: ArrayLike) -> np.ndarray:
    """sum_{j<=i} n[j] R[i, j] / sum_{j<=i} n[j] for every learned task i.

    NaN where an accuracy is not known.
    """
    R = checked(R, gaps=True)
    n = np.asarray(test_sizes, float)
    return np.array(
        [np.average(R[i, : i + 1], weights=n[: i + 1]) for i in range(len(R))]
    )


def weighted_backward_transfer_curve(
    R: ArrayLike, test_sizes: ArrayLike
) -> np.ndarray:
    """`(i + 1) / i * sum_{j<=i} n[j] (R[i, j] - R[j, j]) / sum_{j<=i} n[j]`.

    For every learned task i, from 0; 0 for the first. With equal n it is
    BWT, `backward_transfer`.
    """
    R, n = np.asarray(R, float), np.asarray(test_sizes, float)
    values = [0.0]
    for i in range(1, len(R)):
        change = R[i, : i + 1] - np.diag(R)[: i + 1]
        values.append((i + 1) / i * np.average(change, weights=n[: i + 1]))
    return np.array(values[: len(R)])
