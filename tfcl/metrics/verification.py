"""Face verification: do two embeddings show the same person? Pure NumPy.

A pair counts as the same person if its distance is below a threshold, which
is chosen on all folds but the one that is tested. Folds are contiguous: data
sets like LFW store each fold's pairs together.

Protocol: Huang et al., "Labeled Faces in the Wild", 2007 (restricted, ten
folds), as the published program of Hung et al., NeurIPS 2019, runs it.
"""

from __future__ import annotations

import dataclasses
import math
import typing

import numpy as np

if typing.TYPE_CHECKING:
    from typing import Any


# Angles in units of 45 degrees, as published: 0, 0.01, ..., 3.99.
THRESHOLDS = np.arange(0, 4, 0.01)


@dataclasses.dataclass(frozen=True, eq=False)
class Verification:
    """Accuracy of a verification, fold by fold.

    Attributes:
        fold_accuracies: Accuracy on each fold, `(folds,)`, 0-1.
        mean: Their mean.
        std: Their population standard deviation.
        true_positive_rate: Mean over folds at each threshold.
        false_positive_rate: Likewise.
    """

    fold_accuracies: np.ndarray
    mean: float
    std: float
    true_positive_rate: np.ndarray
    false_positive_rate: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Accuracies of the folds and their deviation."""
        return {"folds": self.fold_accuracies.tolist(), "std": self.std}


def angular_distance(embeddings: np.ndarray, others: np.ndarray) -> np.ndarray:
    """`4 / pi acos(clip(cosine, 0, 1))` per pair, float64 in [0, 2].

    Args:
        embeddings, others: `(pairs, features)` each.
    """
    a = np.asarray(embeddings, np.float64)
    b = np.asarray(others, np.float64)
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(
            "Arguments `embeddings` and `others` must have one shape (pairs, "
            f"features). Received: shapes {a.shape} and {b.shape}"
        )
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = np.sum(a * b, axis=1) / lengths
    return np.arccos(np.clip(cosine, 0.0, 1.0)) * 4.0 / np.pi


def verification_accuracy(
    distances: np.ndarray,
    same: np.ndarray,
    folds: int = 10,
    thresholds: np.ndarray = THRESHOLDS,
) -> Verification:
    """Accuracy on each fold, by the best threshold on the others.

    Args:
        distances: Distance of each pair, `(pairs,)`.
        same: Whether it shows one person, booleans `(pairs,)`.
        folds: Number of contiguous folds; the first ones are longer by one
            pair if the folds do not divide the pairs.
        thresholds: Candidates; the first of the best is taken.

    Returns:
        `Verification`. A rate that a fold does not define, for want of such
        pairs, is 0 there.
    """
    distances, same = _checked(distances, same, folds)
    called = distances[None, :] < np.asarray(thresholds)[:, None]
    right = called == same
    accuracies, true_rates, false_rates = [], [], []
    for fold in _folds(len(same), folds):
        others = np.delete(right, fold, axis=1)
        best = np.argmax(others.mean(axis=1))
        accuracies.append(right[best, fold].mean())
        true_rates.append(_rates(called[:, fold], same[fold]))
        false_rates.append(_rates(called[:, fold], ~same[fold]))
    return Verification(
        fold_accuracies=np.array(accuracies),
        mean=float(np.mean(accuracies)),
        std=float(np.std(accuracies)),
        true_positive_rate=np.mean(true_rates, axis=0),
        false_positive_rate=np.mean(false_rates, axis=0),
    )


def validation_rate(
    distances: np.ndarray,
    same: np.ndarray,
    false_accept_rate: float = 1e-3,
    folds: int = 10,
) -> tuple[float, float]:
    """VAL@FAR: share of same pairs accepted when few others are.

    Per fold, the threshold is the largest one at which, on the other folds,
    at most the share `false_accept_rate` of different pairs is accepted; it
    is taken from their distances, without a grid or interpolation.

    Args:
        distances, same, folds: As for `verification_accuracy`.
        false_accept_rate: FAR, 0-1.

    Returns:
        `(VAL, FAR)` on the tested folds, means over the folds that define
        them; NaN where none does.

    Reference:
        Schroff et al., "FaceNet", CVPR 2015, sec. 4. The published program's
        own VAL fails on current SciPy and is not reported there.
    """
    distances, same = _checked(distances, same, folds)
    if not 0.0 <= false_accept_rate <= 1.0:
        raise ValueError(
            "Argument `false_accept_rate` must lie in [0, 1]. Received: "
            f"false_accept_rate={false_accept_rate}"
        )
    accepted, wrong = [], []
    for fold in _folds(len(same), folds):
        others = np.delete(distances, fold)[~np.delete(same, fold)]
        threshold = _threshold(np.sort(others), false_accept_rate)
        called = distances[fold] < threshold
        accepted.append(called[same[fold]])
        wrong.append(called[~same[fold]])
    return _mean_of_means(accepted), _mean_of_means(wrong)


def _threshold(different, false_accept_rate):
    """Largest threshold that accepts at most a share of the distances."""
    allowed = math.floor(false_accept_rate * len(different))
    # Calls are strictly below: the first distance not allowed is the limit.
    return different[allowed] if allowed < len(different) else math.inf


def _mean_of_means(groups):
    means = [group.mean() for group in groups if group.size]
    return float(np.mean(means)) if means else math.nan


def _rates(called, chosen):
    """Share of the chosen pairs called the same, per threshold."""
    count = np.count_nonzero(chosen)
    return np.count_nonzero(called[:, chosen], axis=1) / max(count, 1)


def _folds(pairs, folds):
    return np.array_split(np.arange(pairs), folds)


def _checked(distances, same, folds):
    distances = np.asarray(distances, np.float64)
    same = np.asarray(same, bool)
    if distances.ndim != 1 or distances.shape != same.shape:
        raise ValueError(
            "Arguments `distances` and `same` must have one entry per pair. "
            f"Received: shapes {distances.shape} and {same.shape}"
        )
    if not np.isfinite(distances).all():
        raise ValueError(
            "Argument `distances` must be finite; an embedding of zeros has "
            f"no angle. Received: {np.isnan(distances).sum()} NaN of "
            f"{len(distances)}"
        )
    if not 2 <= folds <= len(same):
        raise ValueError(
            "Argument `folds` must be at least 2 and at most the number of "
            f"pairs. Received: folds={folds}, {len(same)} pairs"
        )
    return distances, same
