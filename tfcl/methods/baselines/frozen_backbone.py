"""New heads on a backbone that never changes again."""

from __future__ import annotations

import typing

import gin

from tfcl.arguments import checked
from tfcl.methods.shared_backbone import SharedBackboneMethod

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.task import Task
    from tfcl.methods.base import Batch, Update
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.tensor_norms import TensorNorms
    from tfcl.methods.work import Phases


@gin.configurable
class FrozenBackbone(SharedBackboneMethod):
    """A backbone trained on the first task (or pretrained), then frozen.

    Every task trains its own head: forgetting is zero. Or all train one, which
    forgets. The reference for methods that adapt the backbone.

    Args:
        training: `TaskTraining`; with `pretrained=True` the backbone is frozen
            from the start (a linear probe).
        heads: As of `SharedBackboneMethod`.
        tensor_norms: Optional `TensorNorms`: a penalty on the head.
        **options: Arguments of `TaskTraining`, in place of `training`.
    """

    keeps_shared = True
    begins_plain = True
    shared_in_training = False  # In that of the first task alone.

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        tensor_norms: TensorNorms | None = None,
        heads: str | None = None,
        **options: Any,
    ):
        super().__init__(training, heads, **options)
        self.tensor_norms = tensor_norms

    def phases(self, task: Task) -> Phases:
        phase = self.training.phase()
        # All that was learned, this task too, depends on the backbone.
        if task.earlier or self.seen_again or self.training.pretrained:
            phase.steps = (self.head_step,)
        yield phase

    def head_step(self, batch: Batch) -> Update:
        """Like `train_step`, but only the head learns."""
        return self.step_of(self.head_weights, batch, training=False)
