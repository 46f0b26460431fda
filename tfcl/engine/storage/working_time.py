"""How long a run has worked, over all its processes."""

import time

from tfcl.engine.storage.journal import Journal


class WorkingTime:
    """Adds the seconds spent inside `with` to the journal.

    Both the run's and the running task's are counted, so a task must be in
    hand. Whoever saves the journal in between calls `note`.

    Args:
        journal: `Journal`.
    """

    def __init__(self, journal: Journal):
        self._journal = journal
        self._counted_until: float | None = None

    def __enter__(self) -> "WorkingTime":
        self._counted_until = time.monotonic()
        return self

    def __exit__(self, *error) -> None:
        self.note()
        self._counted_until = None

    def note(self) -> None:
        """Brings the journal up to date; outside of `with` it does nothing."""
        if self._counted_until is None:
            return
        now = time.monotonic()
        passed = now - self._counted_until
        self._journal.seconds += passed
        self._journal.task_position.seconds += passed
        self._counted_until = now
