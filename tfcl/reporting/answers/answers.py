"""What a task was asked and what it answered, example by example."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

from tfcl.errors import printable
from tfcl.metrics.calibration import CalibrationBins, calibration_bins
from tfcl.metrics.confusion import confusion_counts

if typing.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


# Of one task at one moment; few, because a page shows many tasks.
NUM_MISTAKES = 8
NUM_RIGHT = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Answers:
    """The answers to the test examples of a task at one moment.

    Attributes:
        labels: True class of each example, integers `(n,)`.
        given: Class that was answered, integers `(n,)`.
        scores: Its probability, float32 `(n,)`.
        images: Encoded images (PNG or JPEG) of some examples, by number.
        without_images: Why there are none; "" if there are.
        visits: Visits that had ended when the answers were given.
    """

    labels: np.ndarray
    given: np.ndarray
    scores: np.ndarray
    images: Mapping[int, bytes] = dataclasses.field(default_factory=dict)
    without_images: str = ""
    visits: int = 0

    @property
    def right(self) -> np.ndarray:
        """Which of them are right, booleans `(n,)`."""
        return self.labels == self.given

    def calibration(self) -> CalibrationBins:
        """Of the answers' probabilities, in 15 bins."""
        return calibration_bins(self.scores, self.right)

    def confusion(self, num_classes: int) -> np.ndarray:
        """Of `confusion_counts`."""
        return confusion_counts(self.labels, self.given, num_classes)

    def mistakes(self) -> list[int]:
        """Examples answered wrongly, those of the highest scores first."""
        return _surest(self.scores, ~self.right)[:NUM_MISTAKES]

    def right_ones(self) -> list[int]:
        """Examples answered rightly: the surest of each class, in the order
        of their scores; then further ones."""
        surest = _surest(self.scores, self.right)
        _, firsts = np.unique(self.labels[surest], return_index=True)
        first = [surest[place] for place in sorted(firsts)]
        others = [row for row in surest[:NUM_RIGHT] if row not in first]
        return (first + others)[:NUM_RIGHT]

    def shown(self) -> list[int]:
        """Examples of which reports show the images."""
        return [*self.mistakes(), *self.right_ones()]


@dataclasses.dataclass(frozen=True, eq=False)
class VisitAnswers:
    """The answers of a task after it was learned, and the last known ones.

    Attributes:
        learned: `Answers` when the visit had ended, None if not known.
        end: The newest `Answers` since; `learned` itself if nothing that they
            depend on has changed. None before the end of the run.
        without: Why a task has no answers by its nature; "" otherwise.
    """

    learned: Answers | None = None
    end: Answers | None = None
    without: str = ""

    @property
    def changed(self) -> bool:
        """Whether there are other answers at the end."""
        return self.end is not None and self.end is not self.learned

    def moments(self) -> dict[str, Answers]:
        """`{"learned", "end": Answers}`, of those that are known."""
        both = {"learned": self.learned, "end": self.end}
        return {name: found for name, found in both.items() if found}

    def differing(self) -> dict[str, Answers]:
        """As `moments`, without an end that is as it was when learned."""
        found = self.moments()
        if not self.changed:
            found.pop("end", None)
        return found


def class_name(names: Sequence[str], number: int) -> str:
    """The name of a class; one that a task has no name for gets a number."""
    if number < len(names):
        return printable(names[number])
    return f"class {number}"


def num_classes(names: Sequence[str], answers: VisitAnswers) -> int:
    """Classes that a task has names for or that were answered."""
    highest = [
        int(max(found.labels.max(initial=0), found.given.max(initial=0)))
        for found in answers.moments().values()
    ]
    return max(len(names), *(number + 1 for number in highest), 1)


def _surest(scores, chosen):
    """Chosen examples by falling score; of equal ones the first."""
    rows = np.flatnonzero(chosen)
    order = np.argsort(-scores[rows].astype(np.float64), kind="stable")
    return [int(row) for row in rows[order]]
