"""Single-task learners: a network of its own for every task."""

from __future__ import annotations

import dataclasses
import typing
from typing import Annotated

import gin
import numpy as np

from tfcl import randomness
from tfcl.arguments import checked, one_of
from tfcl.layers.transfer.selective_conv2d import SHARED
from tfcl.methods.network_method import NetworkMethod, added
from tfcl.models.surgery.selective import selective_backbone, selective_layers
from tfcl.models.variables import restore
from tfcl.optimizers.schedules import ScheduleLike, schedule_of

if typing.TYPE_CHECKING:
    from typing import Any

    import keras

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.tensor_norms import TensorNorms
    from tfcl.methods.work import Phases
    from tfcl.models.network import TaskNetwork
    from tfcl.types import Tensor


AFRESH = "afresh"
FIRST = "first"
RANDOM_EARLIER = "random_earlier"


@gin.configurable
class Individual(NetworkMethod):
    """STL: every task trains a whole network, nothing is shared.

    The reference `S[j]` of the gain metrics; forgetting is zero.

    Args:
        training: `TaskTraining`.
        transfer: Mechanism that makes the kernels, of
            `tfcl.methods.lasem.transfers`, for single-task forms like
            STL-DF-CNN: every task has a knowledge base of its own. None: plain
            kernels.
        start: "afresh"; "first": all later tasks start from the network of
            the first; or "random_earlier": task t starts from that of one of
            the tasks before it, drawn from the seed (the fine-tuned models of
            Hung et al., NeurIPS 2019, whose accuracies are goals). Its
            classifier counts, too, if it has as many classes.
        later_schedule: Rate from the second task on, a schedule or a number;
            None for the one of `training`.
        tensor_norms: Optional `TensorNorms`: a penalty on all that a task
            trains.
        **options: Arguments of `TaskTraining`, in place of `training`.
    """

    of_the_task = "the network"
    keeps_shared = True  # There is nothing, and no draws in inference.
    begins_plain = True

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        transfer: Any | None = None,
        start: Annotated[str, one_of(AFRESH, FIRST, RANDOM_EARLIER)] = AFRESH,
        later_schedule: ScheduleLike | None = None,
        tensor_norms: TensorNorms | None = None,
        **options: Any,
    ):
        self.decays_weights = self.takes_losses = transfer is None
        super().__init__(training, **options)
        self.transfer = transfer
        self.start = start
        if later_schedule is not None:
            later_schedule = schedule_of(later_schedule)
        self.later_schedule = later_schedule
        self.tensor_norms = tensor_norms

    @property
    def name(self) -> str:
        if self.transfer is None:
            return super().name
        return f"STL-{self.transfer.name}"

    def make_backbone(self, spec: StreamSpec) -> keras.Model:
        backbone = super().make_backbone(spec)
        if self.transfer is None:
            return backbone
        # What a shared layer shares is here the task's, like all else.
        return selective_backbone(backbone, self.transfer, lambda depth: SHARED)

    def divide(self, network: TaskNetwork) -> None:
        self.shared = []
        self.slot = network.backbone_variables + network.head_variables

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        if self.start == AFRESH or not task.index:
            return
        earlier = 0
        if self.start == RANDOM_EARLIER:
            drawn = randomness.generator(self.seed, "start from", task.index)
            earlier = int(drawn.integers(task.index))
        values = self.recall(earlier)
        taken = self._network.backbone_variables
        columns = values[f"{self.head.name}/columns"]
        if np.array_equal(columns, self.head.active_columns):
            taken = self.slot
        restore(
            taken,
            {v.name: values[v.name] for v in taken if v.name in values},
            self.head.left_out(values),
        )
        self.training.begin_task(self.head, task)

    def phases(self, task: Task) -> Phases:
        phase = self.training.phase()
        if self.later_schedule is not None and task.index:
            phase = dataclasses.replace(
                phase, rates={"main": self.later_schedule}
            )
        yield phase

    def penalty(self) -> Tensor | None:
        mechanism = []
        if self.transfer is not None:
            layers = selective_layers(self._network.backbone)
            mechanism = self.transfer.penalties(layers)
        return added([super().penalty(), *mechanism])
