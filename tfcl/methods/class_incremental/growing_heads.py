"""What it takes to go on with more tasks than a run began with."""

from __future__ import annotations

import typing

from tfcl.methods.base import Method
from tfcl.methods.protocols import SupportsGrowth

if typing.TYPE_CHECKING:
    import keras

    from tfcl.methods.base import Batch
    from tfcl.methods.class_incremental.class_statistics import ClassStatistics
    from tfcl.methods.class_incremental.task_heads import TaskHeads
    from tfcl.models.variables import Owned
    from tfcl.types import Structure


class GrowingHeads(Method, SupportsGrowth):
    """A method whose heads and statistics have room for all tasks of a stream.

    A longer stream brings room for more behind them. What was learned stands
    in the leading block; the heads of new tasks are drawn.

    Attributes:
        heads: `TaskHeads`.
        statistics: `ClassStatistics`.
    """

    heads: TaskHeads
    statistics: ClassStatistics
    _heads: list[Owned]
    _unaligned: list[keras.Variable]

    # Whether the learned tasks are known to be of sizes that fit. Runs of
    # versions that did not note them cannot be widened safely.
    _follows = False

    @property
    def task_state(self) -> list[keras.Variable]:
        lasting = [*self._unaligned, *self.statistics.table.variables]
        known = {id(variable) for variable in lasting}
        return [v for v in self.state if id(v) not in known]

    @property
    def widening(self) -> list[keras.Variable]:
        if not self._follows:
            return []
        heads = [owned.variable for owned in self._heads]
        return [*heads, *self._unaligned, *self.statistics.table.variables]

    def structure(self) -> Structure:
        return {"class_counts": list(self.heads.sizes)}

    def grow_to(self, structure: Structure) -> None:
        self.heads.check_follows(structure["class_counts"])
        self._follows = True

    def graph(self) -> None:
        """Nothing grows while the run goes on."""

    def check_replicas(self, batch: Batch) -> None:
        """Raises ValueError on several replicas."""
        if batch.replicas > 1:
            raise ValueError(
                f"{type(self).__name__} runs on one replica "
                f"(--distribution=none). Received: {batch.replicas} replicas"
            )
