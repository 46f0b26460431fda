"""Methods that find out for every task which layers it shares."""

from __future__ import annotations

import abc
import typing

from tfcl.layers.transfer.selective_conv2d import CHOSEN
from tfcl.methods.lasem.layer_choice import LayerChoice
from tfcl.methods.lasem.static_transfer import divide_by_layers
from tfcl.methods.lasem.transfers import HardTransfer
from tfcl.methods.network_method import NetworkMethod, added
from tfcl.models.surgery.prefix_tree import chosen_layers
from tfcl.models.surgery.selective import selective_backbone

if typing.TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    import keras
    import numpy as np

    from tfcl.data.task import StreamSpec, Task
    from tfcl.layers.transfer.selective_conv2d import SelectiveConv2D
    from tfcl.methods.base import Batch, Update
    from tfcl.methods.lasem.transfers import Transfer
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.work import Phases
    from tfcl.models.network import TaskNetwork
    from tfcl.models.variables import Owned
    from tfcl.types import Tensor, Values


class SearchingMethod(NetworkMethod):
    """A transfer configuration of its own for every task.

    While a task trains, every convolution has a kernel by the transfer
    mechanism and a task's own kernel; a subclass gathers evidence in its
    steps or phases and says in `best` what is to be shared. At the end of the
    task the choice becomes final (see `LayerChoice`). A task seen again is
    not searched: it goes on training with what was chosen for it.

    Args:
        training: `TaskTraining`.
        transfer: Mechanism of the shared layers, of
            `tfcl.methods.lasem.transfers`; None takes `HardTransfer`.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Attributes:
        layers: The `SelectiveConv2D`s, input to output.
        choice: `LayerChoice`.
    """

    of_the_task = "the layers of its own and the head"

    choice: LayerChoice

    def __init__(
        self,
        training: TaskTraining | None = None,
        transfer: Transfer | None = None,
        **options: Any,
    ):
        super().__init__(training, **options)
        self.transfer = transfer or HardTransfer()
        self.layers: list[SelectiveConv2D] = []

    @property
    @abc.abstractmethod
    def best(self) -> Sequence[bool] | np.ndarray:
        """What the evidence favours now: a boolean per layer, True = shared."""

    @property
    def name(self) -> str:
        return f"{type(self).__name__}-{self.transfer.name}"

    def make_backbone(self, spec: StreamSpec) -> keras.Model:
        backbone = self.training.backbone(spec)
        return selective_backbone(backbone, self.transfer, lambda depth: CHOSEN)

    def divide(self, network: TaskNetwork) -> None:
        self.layers = chosen_layers(network.backbone)
        divide_by_layers(self, network, self.layers)

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        self.choice = LayerChoice(self.layers, self.shared)
        self.state += self.choice.state

    def begin_slot(self, task: Task) -> None:
        """Draws the task's own variables, always alike; new optimizers."""
        super().begin_task(task)

    def begin_task(self, task: Task) -> None:
        self.begin_slot(task)
        self._begin_sharing(task)

    def resume_task(self, task: Task, values: Values) -> None:
        super().resume_task(task, values)
        self._begin_sharing(task)

    def _begin_sharing(self, task):
        self.choice.begin_task(
            lambda owned: self.redraw(owned, "shared", task.index)
        )
        self.transfer.begin_task(self.layers, self.choice.defined.numpy() > 0)

    def phases(self, task: Task) -> Phases:
        if self.seen_again:
            phase = self.training.phase()
            phase.steps = (self.chosen_step,)
            yield phase
        else:
            yield from self.search(task)

    def search(self, task: Task) -> Phases:
        """Generator: the phases of a task that is new."""
        del task
        yield self.training.phase()

    def chosen_step(self, batch: Batch) -> Update:
        """A plain step of the active configuration."""
        return self.step_of(self._trained, batch)

    def penalty(self) -> Tensor | None:
        mechanism = [
            None if penalty is None else layer.selection * penalty
            for layer, penalty in zip(
                self.layers, self.transfer.penalties(self.layers)
            )
        ]
        return added([self.backbone_penalty(), *mechanism])

    def begin_evaluation(self) -> None:
        if not self.seen_again:
            self.choice.select(self.best)

    def end_task(self, task: Task) -> None:
        self.choice.settle(
            self.choice.sharing if self.seen_again else self.best
        )

    def bank_values(self) -> Values:
        return self.choice.without_unused(super().bank_values())

    def left_out(self, values: Values) -> Collection[str]:
        return [*super().left_out(values), *self.choice.left_out(values)]

    def bank_notes(self) -> dict[str, Any]:
        return {"configuration": self.choice.name}

    def read_variables(self) -> list[Owned]:
        return self.choice.read_variables()
