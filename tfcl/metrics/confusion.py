"""Which class is taken for which, and how each class does. Pure NumPy."""

from __future__ import annotations

import numpy as np


def confusion_counts(
    labels: np.ndarray, given: np.ndarray, num_classes: int
) -> np.ndarray:
    """The confusion matrix, int64 `(num_classes, num_classes)`.

    Args:
        labels: True class of each example, integers `(n,)`.
        given: Class that was answered, integers `(n,)`.
        num_classes: Classes; all labels and answers are below it.

    Returns:
        Entry `[t, g]` counts the examples of class t that were called g.
    """
    labels, given = np.asarray(labels), np.asarray(given)
    if labels.ndim != 1 or labels.shape != given.shape:
        raise ValueError(
            "Arguments `labels` and `given` must have one entry per example. "
            f"Received: shapes {labels.shape} and {given.shape}"
        )
    labels, given = labels.astype(np.int64), given.astype(np.int64)
    both = np.concatenate([labels, given])
    if both.size and not 0 <= both.min() <= both.max() < num_classes:
        raise ValueError(
            "Arguments `labels` and `given` must be classes 0.."
            f"{num_classes - 1}. Received: {both.min()}..{both.max()}"
        )
    flat = np.bincount(labels * num_classes + given, minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes)


def class_accuracies(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy of each class, its recall, with its support.

    Args:
        counts: Of `confusion_counts`.

    Returns:
        Accuracies 0-1, float64 `(classes,)`, NaN for a class without
        examples; and the number of examples, int64 `(classes,)`.
    """
    support = counts.sum(axis=1)
    right = np.diagonal(counts)
    known = support > 0
    accuracies = np.where(known, right / np.maximum(support, 1), np.nan)
    return accuracies, support


def confused_pairs(counts: np.ndarray) -> list[tuple[int, int, int]]:
    """`(true class, given class, examples)` of all mistakes.

    The most frequent first; of equally frequent ones the lower classes.

    Args:
        counts: Of `confusion_counts`.
    """
    wrong = np.array(counts)
    np.fill_diagonal(wrong, 0)
    true, given = np.nonzero(wrong)
    order = np.argsort(-wrong[true, given], kind="stable")
    return [
        (int(t), int(g), int(wrong[t, g]))
        for t, g in zip(true[order], given[order])
    ]
