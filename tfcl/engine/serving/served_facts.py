"""What a served model tells of the run that it is of."""

from __future__ import annotations

import dataclasses
import typing

if typing.TYPE_CHECKING:
    from tfcl.engine.storage.journal import Journal


@dataclasses.dataclass(frozen=True)
class ServedFacts:
    """State of a run when its tasks are exported.

    Attributes:
        version: Tasks learned so far, a task that came again counted again.
            What is exported later has a higher number.
        accuracies: `{task name: newest test accuracy}`, None where it is not
            known. Without tasks that the user has removed.
    """

    version: int
    accuracies: dict[str, float | None]

    @classmethod
    def of(cls, journal: Journal) -> ServedFacts:
        """Those of a run.

        Args:
            journal: `Journal` with a visit.
        """
        return cls(len(journal.visits), journal.accuracies())
