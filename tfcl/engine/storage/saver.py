"""Saves a run while it goes on, and takes up what was saved."""

import typing

import numpy as np

from tfcl.engine.storage.best_weights import BestWeights
from tfcl.engine.storage.checkpoints import Checkpoints
from tfcl.engine.storage.journal import Journal
from tfcl.engine.storage.position import BestEpoch
from tfcl.engine.storage.working_time import WorkingTime
from tfcl.errors import Interrupted
from tfcl.methods.base import Method
from tfcl.methods.protocols import structure_of

STOPPED = (
    "Stopped on request; the state is saved. Start the same command again to "
    "go on."
)


class Saver:
    """Writes checkpoints of method and journal, and the best weights.

    Args:
        method: `Method` that is set up.
        journal: `Journal`, saved as it is at that moment.
        checkpoints: `Checkpoints`.
        best_weights: `BestWeights`.
        flush: Function without arguments that hands to the operating system
            what is told of the run elsewhere (TensorBoard), so that it never
            tells less than the checkpoint.

    Attributes:
        journal: The `Journal`.
        policy: `CheckpointPolicy`.
        working_time: `WorkingTime`, which every save brings up to date.
    """

    def __init__(
        self,
        method: Method,
        journal: Journal,
        checkpoints: Checkpoints,
        best_weights: BestWeights,
        flush: typing.Callable[[], None],
    ):
        self.journal = journal
        self.policy = checkpoints.policy
        self.working_time = WorkingTime(journal)
        self._method = method
        self._checkpoints = checkpoints
        self._best_weights = best_weights
        self._flush = flush

    def save(self) -> None:
        """Writes a checkpoint with the journal as it is."""
        self.working_time.note()
        self._flush()
        self.journal.structure = structure_of(self._method)
        self._checkpoints.save(self._method, self.journal)
        self._best_weights.collect(self.journal)

    def save_if_due(self) -> None:
        """Writes a checkpoint if enough time has passed."""
        if self._checkpoints.due():
            self.save()

    def save_and_stop(self) -> typing.NoReturn:
        """Writes a checkpoint and ends the run.

        Raises:
            Interrupted: Always.
        """
        self.save()
        raise Interrupted(STOPPED)

    def restore_pending(self) -> None:
        """Restores the checkpoint's variables, the first time it is called."""
        self._checkpoints.restore(self._method, between_tasks=False)

    def save_best(
        self,
        values: dict[str, np.ndarray],
        epoch: int,
        accuracy: float | None,
        value: float | None,
    ) -> BestEpoch:
        """Keeps the weights of the best epoch so far; see `BestWeights`."""
        return self._best_weights.save(
            self.journal, values, epoch, accuracy, value
        )

    def best_values(
        self, note: BestEpoch | None
    ) -> dict[str, np.ndarray] | None:
        """The weights of a note of `save_best`, None without one."""
        return self._best_weights.load(note)
