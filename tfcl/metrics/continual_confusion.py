"""Metrics of online learning from a continual confusion matrix (CCM).

`R[i, j]` is the accuracy (fraction 0-1) on distribution j of a stream, right
after distribution i was seen; square, all entries known. The definitions are
those of the program of Memory Head (Tiezzi et al., CoLLAs 2024), which differ
from those of `tfcl.metrics.accuracy_matrix` in forgetting (the best accuracy
may be that of any earlier moment, learned or not) and in the transfers.
"""

from __future__ import annotations

import numpy as np


def summarise(R: np.ndarray) -> dict[str, float]:
    """All four metrics of this module, `{name: float}`."""
    return {
        "average_accuracy": average_accuracy(R),
        "average_forgetting": average_forgetting(R),
        "backward_transfer": backward_transfer(R),
        "forward_transfer": forward_transfer(R),
    }


def average_accuracy(R: np.ndarray) -> float:
    """Mean of the last row."""
    return float(np.mean(_checked(R)[-1]))


def average_forgetting(R: np.ndarray) -> float:
    """Mean over all but the last j of `max_{i<z} R[i, j] - R[z, j]`.

    0 for a single distribution; may be negative.
    """
    matrix = _checked(R)
    if len(matrix) == 1:
        return 0.0
    return float(np.mean(matrix[:-1, :-1].max(axis=0) - matrix[-1, :-1]))


def backward_transfer(R: np.ndarray) -> float:
    """`max(0, 2 / (z (z - 1)) sum_{i>j} (R[i, j] - R[j, j]))`."""
    matrix = _checked(R)
    gains = np.tril(matrix - np.diag(matrix), -1)
    return max(0.0, _pair_mean(gains))


def forward_transfer(R: np.ndarray) -> float:
    """`2 / (z (z - 1)) sum_{i<j} R[i, j]`; no baseline is subtracted."""
    return _pair_mean(np.triu(_checked(R), 1))


def _pair_mean(values):
    pairs = len(values) * (len(values) - 1) / 2
    return float(values.sum() / pairs) if pairs else 0.0


def _checked(R):
    matrix = np.asarray(R, np.float64)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
    if not square or not matrix.size or not np.isfinite(matrix).all():
        raise ValueError(
            "Argument `R` must be square, one row and one column per "
            "distribution, without missing entries. Received: shape "
            f"{matrix.shape}"
        )
    return matrix
