"""Weights of the best epoch of a running phase, on disk for a resume."""

from __future__ import annotations

import collections
import hashlib
import pathlib
import typing

from tfcl.engine.storage.npz import from_npz, to_npz
from tfcl.engine.storage.position import BestEpoch
from tfcl.errors import RunError
from tfcl.files import cannot, write_atomically

if typing.TYPE_CHECKING:
    from tfcl.engine.storage.journal import Journal
    from tfcl.types import Values


class BestWeights:
    """Files that the journal refers to, removed when no checkpoint does.

    Args:
        folder: Folder of the files.
        keep: Checkpoints that are kept.
        writes: False on workers other than the chief.
    """

    def __init__(
        self, folder: str | pathlib.Path, keep: int, writes: bool = True
    ):
        self.folder = pathlib.Path(folder)
        self.writes = writes
        # One set of names per checkpoint. Those on disk may refer to any of
        # the files that are there now.
        present = {path.name for path in self.folder.glob("*.npz")}
        self._referenced = collections.deque([present], maxlen=keep)

    def save(
        self,
        journal: Journal,
        values: Values,
        epoch: int,
        accuracy: float | None,
        value: float | None,
    ) -> BestEpoch:
        """Writes the values; returns the `BestEpoch` for the journal.

        Args:
            journal: `Journal`.
            values: `{name: array}`.
            epoch: Completed epochs of the phase.
            accuracy: Validation accuracy, None if not measured.
            value: What made them the best, None if nothing did.
        """
        name = _file_name(journal, epoch)
        content = to_npz(values)
        if self.writes:
            try:
                write_atomically(self.folder / name, content)
            except OSError as error:
                raise cannot(
                    f"write the best weights to {self.folder}", error
                ) from error
        sha = hashlib.sha256(content).hexdigest()
        return BestEpoch(epoch, accuracy, value, name, sha)

    def load(self, note: BestEpoch | None) -> Values | None:
        """The values of a note, None for None."""
        if note is None:
            return None
        path = self.folder / note.file
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != note.sha256:
                raise ValueError("its checksum differs from the journal's")
            return from_npz(content)
        except (OSError, ValueError) as error:
            raise RunError(
                f"The best weights of the running phase in {path} cannot be "
                f"read: {error}. Start a new run in another --model_dir."
            ) from error

    def collect(self, journal: Journal) -> None:
        """Removes files that no kept checkpoint needs."""
        position = journal.position
        phase = None if position is None else position.phase
        best = None if phase is None else phase.best
        self._referenced.append(set() if best is None else {best.file})
        if not self.writes or not self.folder.exists():
            return
        for path in self.folder.glob("*.npz"):
            if not any(path.name in names for names in self._referenced):
                path.unlink()


def _file_name(journal, epoch):
    # A phase begins, with epoch 0, at the step at which the last one ended,
    # whose file a checkpoint may need.
    position = journal.task_position
    return (
        f"visit_{position.visit:03d}_phase_{position.phase_number:02d}"
        f"_epoch_{epoch}_step_{journal.global_step}.npz"
    )
