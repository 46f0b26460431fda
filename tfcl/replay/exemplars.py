"""Training examples that stand for their classes, best ones first."""

from collections.abc import Mapping

import keras
import numpy as np

from tfcl.arguments import PositiveInt, checked, require
from tfcl.replay.table import statistic


class Exemplars:
    """Which training examples of each class are kept: their numbers alone.

    Every class seen has as many, `capacity // classes seen`; when classes
    come, those chosen last are given up. For methods that have the data of
    earlier tasks at hand; `ReplayBuffer` keeps examples themselves.

    Args:
        capacity: K, exemplars of all classes together.

    Raises:
        ValueError: If `capacity` is not positive.

    Attributes:
        numbers: int32 `(classes, places)`, after `build`: for each class
            numbers of its examples, then -1; for `Method.state`.

    Reference:
        Rebuffi et al., "iCaRL: Incremental Classifier and Representation
        Learning", CVPR 2017, algorithms 2 and 5.
    """

    numbers: keras.Variable

    @checked
    def __init__(self, capacity: PositiveInt):
        self.capacity = capacity

    def build(self, classes: int) -> None:
        """Makes the variable, without exemplars.

        Args:
            classes: Number of classes, at least 2.

        Raises:
            ValueError: If not every class can have one.
        """
        require(
            classes <= self.capacity,
            "capacity",
            f"must be at least {classes}, an exemplar per class",
            self.capacity,
        )
        # A first task has two classes at least.
        nobody = np.full((classes, self.capacity // 2), -1)
        self.numbers = statistic(nobody, "exemplars", "int32")

    def per_class(self, seen: int) -> int:
        """m, exemplars of each class, where so many were seen."""
        return self.capacity // seen

    def put(self, chosen: Mapping[int, np.ndarray], seen: int) -> None:
        """Takes in the exemplars of new classes, and gives up some of others.

        Args:
            chosen: `{class: numbers of its exemplars, best ones first}`.
            seen: Classes seen, the new ones included.
        """
        numbers = self.numbers.numpy()
        for label, found in chosen.items():
            numbers[label] = -1
            numbers[label, : len(found)] = found
        numbers[:, self.per_class(seen) :] = -1
        self.numbers.assign(numbers)

    def kept(self) -> list[list[int]]:
        """Numbers of the exemplars of each class, best ones first."""
        return [row[row >= 0].tolist() for row in self.numbers.numpy()]


def herded(features: np.ndarray, count: int) -> np.ndarray:
    """Examples whose mean is near that of all, whatever the number taken.

    Each is chosen so that the mean of those chosen so far comes as near as
    possible to the mean of all; none is chosen twice.

    Args:
        features: `(n, d)`.
        count: How many, at most n are found.

    Returns:
        Rows of `features`, int64 `(min(count, n),)`, in their order.

    Reference:
        Rebuffi et al., CVPR 2017, algorithm 4.
    """
    features = np.asarray(features, np.float64)
    mean, total = features.mean(axis=0), np.zeros(features.shape[1])
    left = np.ones(len(features), bool)
    chosen: list[int] = []
    for number in range(1, min(count, len(features)) + 1):
        means = (total + features) / number
        distances = np.square(mean - means).sum(axis=1)
        best = int(np.argmin(np.where(left, distances, np.inf)))
        left[best] = False
        total += features[best]
        chosen.append(best)
    return np.array(chosen, np.int64)
