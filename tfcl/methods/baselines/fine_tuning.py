"""One network for all tasks, trained on one task after another."""

from __future__ import annotations

import typing
from typing import Annotated

import gin

from tfcl.arguments import checked, one_of
from tfcl.methods.network_method import NetworkMethod

if typing.TYPE_CHECKING:
    from typing import Any

    import keras

    from tfcl.data.task import StreamSpec
    from tfcl.methods.task_training import TaskTraining
    from tfcl.models.network import TaskNetwork
    from tfcl.types import Values


ONE = "one"
PER_TASK = "per_task"


@gin.configurable
class FineTuning(NetworkMethod):
    """One network, which goes on training on each task.

    The lower reference: nothing protects what was learned.

    Args:
        training: `TaskTraining`.
        heads: "one" for all tasks (SNN of the LASEM line), or "per_task":
            only the backbone is shared (naive continual learning, NCL).
        **options: Arguments of `TaskTraining`, in place of `training`.

    Raises:
        ValueError: If `heads` is neither word. At set-up, if tasks with one
            head differ in their number of classes.
    """

    decays_weights = True
    begins_plain = True

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        heads: Annotated[str, one_of(ONE, PER_TASK)] = ONE,
        **options: Any,
    ):
        super().__init__(training, **options)
        self.heads = heads
        self.needs_task = heads == PER_TASK

    def setup(self, spec: StreamSpec, seed: int) -> None:
        if self.heads == ONE and len(set(spec.class_counts)) > 1:
            raise ValueError(
                f"{type(self).__name__} has one head for all tasks, so every "
                "task needs the same number of classes. Received: class "
                f"counts {spec.class_counts}. FineTuning with "
                "heads='per_task' has a head per task on a shared backbone."
            )
        super().setup(spec, seed)

    @property
    def widening(self) -> list[keras.Variable]:
        # A class-incremental stream may go on with more classes.
        if self.needs_task:
            return []
        return [self.head.kernels[-1], self.head.biases[-1]]

    def activate(self, values: Values, task_index: int) -> None:
        super().activate(values, task_index)
        if not self.needs_task:  # Also with classes of later tasks.
            self.head.use_columns(range(self.spec.max_classes))

    def divide(self, network: TaskNetwork) -> None:
        if self.heads == PER_TASK:
            self.shared = network.backbone_variables
            self.slot = network.head_variables
            return
        columns = f"{network.head.name}/columns"
        self.shared = network.backbone_variables + [
            v for v in network.head_variables if v.name != columns
        ]
        self.slot = [v for v in network.head_variables if v.name == columns]
