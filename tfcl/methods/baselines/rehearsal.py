"""Fine-tuning that goes on practising examples of earlier tasks."""

from __future__ import annotations

import typing
from typing import Annotated

import gin
import numpy as np

from tfcl import randomness
from tfcl.arguments import PositiveInt, checked, one_of, within
from tfcl.data.split import Split, taken_from
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.shared_backbone import GROWING, ONE
from tfcl.replay.host_reservoir import HostReservoir
from tfcl.replay.table import Column

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.task import Task
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.work import Phases


@gin.configurable
class Rehearsal(FineTuning):
    """Replay, task by task: batches carry a share of a reservoir.

    The reservoir holds `capacity` training examples of the tasks before, each
    of their examples with the same chance; one that has dropped out does not
    come back. They are mixed into the task's own data, often enough to make
    up `share` of it, and shuffled with it: a batch carries that share on
    average. Replayed images are augmented as all others.

    One head serves all tasks.

    Args:
        training: `TaskTraining`; its epochs count passes over the mixed data.
        capacity: Examples in the reservoir.
        share: Part of the examples of an epoch that come from the reservoir,
            between 0 and 1. If the reservoir has fewer, they are repeated; if
            it has more, a part is drawn for the task.
        heads: "growing" or "one", see `SharedBackboneMethod`.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Raises:
        ValueError: If an argument is out of range. At set-up, if tasks differ
            in their number of classes.

    Reference:
        Experience replay as in Chaudhry et al., "On Tiny Episodic Memories in
        Continual Learning", 2019, for several epochs per task; the reservoir
        is a `HostReservoir`.
    """

    needs_earlier_data = True

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        capacity: PositiveInt = 200,
        share: Annotated[float, within("(0, 1)")] = 0.5,
        heads: Annotated[str, one_of(GROWING, ONE)] | None = None,
        **options: Any,
    ):
        super().__init__(training, heads, **options)
        self.capacity = capacity
        self.share = share
        self._notes: dict[str, int] = {}

    def phases(self, task: Task) -> Phases:
        yield self.training.phase("train", self.mixed(task))

    def kept(self, task: Task) -> np.ndarray:
        """The reservoir when a task begins.

        Returns:
            Numbers of its examples, counted through the training data of
            `task.earlier`, ascending.
        """
        reservoir = HostReservoir(
            self.capacity, {"numbers": Column((), "int64")}
        )
        begin = 0
        for earlier in task.earlier:
            count = len(earlier.train)
            # From the seed, so that a run that is continued has the same
            # reservoir without a checkpoint of it.
            draw = randomness.generator(self.seed, "reservoir", earlier.index)
            numbers = np.arange(begin, begin + count)
            reservoir.insert(draw.random(count), {"numbers": numbers})
            begin += count
        return np.sort(reservoir["numbers"])

    def mixed(self, task: Task) -> Split:
        """The `Split` of a task's own and of replayed examples."""
        splits = [t.train for t in task.earlier]
        begins = np.cumsum([0, *map(len, splits)])
        count = round(self.share / (1.0 - self.share) * len(task.train))
        draw = randomness.generator(self.seed, "rehearsal", task.index)
        kept = draw.permutation(self.kept(task))
        replayed = np.resize(kept, count if len(kept) else 0)
        found: Any = []
        if splits:
            found, _ = np.histogram(replayed, begins)
        self._notes = {
            t.name: int(n) for t, n in zip(task.earlier, found, strict=True)
        }
        own = begins[-1] + np.arange(len(task.train))
        return taken_from(
            [*splits, task.train], np.concatenate([replayed, own])
        )

    def bank_notes(self) -> dict[str, Any]:
        return {**super().bank_notes(), "replayed_examples": self._notes}
