"""Which images of a SKILL task CLR learns from.

Ge et al., "CLR: Channel-wise Lightweight Reprogramming", ICCV 2023, section 4;
the numbers are those of the published program.
"""

import random

MAX_CLASSES = 300
# Validation images of a task with at least 60 classes, and of a smaller one;
# training has ten times as many.
THRESHOLD, LARGE, SMALL = 60, 512, 256
_SEED = 27


def labels_of(class_ids):
    """`{class id: label}` by first appearance, at most 300 classes."""
    return {
        class_id: label
        for label, class_id in enumerate(
            list(dict.fromkeys(class_ids))[:MAX_CLASSES]
        )
    }


def sample(
    class_ids, labels, times=1, threshold=THRESHOLD, large=LARGE, small=SMALL
):
    """The rows of one split that are taken, class by class.

    Args:
        class_ids: Class id of every row, in the order of the database.
        labels: `labels_of` of the training rows; rows of other classes are
            left out.
        times: Multiplies the budget: 10 for training, 1 for validation.
        threshold: Number of classes from which a task is large.
        large: Budget of a large task, images.
        small: Budget of any other task, images.

    Returns:
        Row numbers, a list. Every class has at most round(budget / classes)
        of them, and at least one.
    """
    rows_of = {}
    for row, class_id in enumerate(class_ids):
        if class_id in labels:
            rows_of.setdefault(class_id, []).append(row)
    if not rows_of:
        return []
    classes = min(MAX_CLASSES, len(rows_of))
    budget = times * (large if len(rows_of) >= threshold else small)
    cap = max(round(budget / classes), 1)
    # Anew for each split, as published.
    generator = random.Random(_SEED)
    taken = []
    for rows in rows_of.values():
        generator.shuffle(rows)
        taken += rows[:cap]
    return taken
