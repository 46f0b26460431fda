"""A logger of runs that remembers, and fails where a test wants it to."""

from tfcl.reporting.loggers.run_logger import RunLogger


class Recorder(RunLogger):
    """Remembers what it is told.

    Args:
        fails_at: Name of the function that raises.

    Attributes:
        runs: Each `LoggedRun` that began.
        told: `(id of the run, tag, step, number or bytes)` in their order.
        ends: What each `close` was told.
        asked: Names of the functions called, in their order.
    """

    def __init__(self, fails_at=None):
        self._fails_at = fails_at
        self.runs, self.told, self.ends, self.asked = [], [], [], []

    def load(self):
        self._note("load")

    def begin(self, run):
        self._note("begin")
        self.runs.append(run)

    def scalars(self, values, step):
        self._note("scalars")
        for tag, value in values.items():
            self.told.append((self.runs[-1].id, tag, step, value))

    def image(self, tag, png, step):
        self._note("image")
        self.told.append((self.runs[-1].id, tag, step, png))

    def close(self, finished):
        self._note("close")
        self.ends.append(finished)

    def points(self):
        """`{tag: [(step, number or bytes)]}`, each point once."""
        found = {}
        for _, tag, step, value in self.told:
            if (step, value) not in found.setdefault(tag, []):
                found[tag].append((step, value))
        return found

    def _note(self, name):
        self.asked.append(name)
        if name == self._fails_at:
            raise ConnectionError(f"no way\nfor {name}")
