"""Does an answer's probability say how often it is right? Pure NumPy.

Reference: Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern Neural
Networks", ICML 2017, sec. 2: the largest probability of each example is its
confidence; examples go into bins of equal width, `((m - 1) / M, m / M]`.
"""

from __future__ import annotations

import typing

import numpy as np


class CalibrationBins(typing.NamedTuple):
    """Examples by their confidence; the bins of a reliability diagram.

    Attributes:
        counts: Examples of each bin, int64 `(bins,)`.
        right: Those of them that are answered rightly, int64 `(bins,)`.
        confidences: Mean confidence of each bin, float64 `(bins,)`, NaN
            where it is empty.
    """

    counts: np.ndarray
    right: np.ndarray
    confidences: np.ndarray

    @property
    def accuracies(self) -> np.ndarray:
        """Share of right answers, float64 `(bins,)`, NaN where empty."""
        shares = self.right / np.maximum(self.counts, 1)
        return np.where(self.counts > 0, shares, np.nan)


def calibration_bins(
    scores: np.ndarray, right: np.ndarray, bins: int = 15
) -> CalibrationBins:
    """The `CalibrationBins` of some answers.

    Args:
        scores: Probability of each answer, floats 0-1 `(n,)`.
        right: Whether it is right, booleans `(n,)`.
        bins: Their number.
    """
    scores, right = np.asarray(scores), np.asarray(right, bool)
    if scores.ndim != 1 or scores.shape != right.shape:
        raise ValueError(
            "Arguments `scores` and `right` must have one entry per example. "
            f"Received: shapes {scores.shape} and {right.shape}"
        )
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError(
            "Argument `scores` must hold probabilities, 0 to 1. Received: "
            f"{scores.min()} to {scores.max()}"
        )
    # In the precision of the scores: 0.2 of float32 ends its bin, too.
    ends = (np.arange(1, bins) / bins).astype(scores.dtype)
    places = np.searchsorted(ends, scores, side="left")
    counts = np.bincount(places, minlength=bins)
    sums = np.bincount(places, scores.astype(np.float64), minlength=bins)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return CalibrationBins(
        counts=counts,
        right=np.bincount(places[right], minlength=bins),
        confidences=means,
    )


def expected_calibration_error(bins: CalibrationBins) -> float:
    """ECE: mean of |accuracy - confidence| over bins, weighted by examples.

    0 is best; NaN without examples.

    Args:
        bins: Of `calibration_bins`.
    """
    total = bins.counts.sum()
    if not total:
        return float("nan")
    known = bins.counts > 0
    gaps = np.abs(bins.accuracies - bins.confidences)[known]
    return float(np.sum(bins.counts[known] * gaps) / total)
