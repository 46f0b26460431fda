"""HPS, TF and DF-CNN with a fixed transfer configuration."""

from __future__ import annotations

import typing

import gin

from tfcl.arguments import checked
from tfcl.layers.transfer.selective_conv2d import SHARED, TASK
from tfcl.methods.lasem.transfer_configurations import transfer_configuration
from tfcl.methods.lasem.transfers import HardTransfer
from tfcl.methods.network_method import NetworkMethod, added
from tfcl.methods.shared_weights import own_kernels, warn_of_copies
from tfcl.models.surgery.prefix_tree import configuration_name
from tfcl.models.surgery.selective import (
    convolutions,
    selective_backbone,
    selective_layers,
)

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import keras

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Method
    from tfcl.methods.lasem.transfers import Transfer
    from tfcl.methods.task_training import TaskTraining
    from tfcl.models.network import TaskNetwork
    from tfcl.types import Tensor, Values


@gin.configurable
class StaticTransfer(NetworkMethod):
    """Each convolution is shared by all tasks, or every task has its own.

    What is shared goes on training with every task and is not protected; all
    other layers, the head included, belong to the task.

    Args:
        training: `TaskTraining`.
        configuration: Digits from input to output, 1 = shared ("0011"), a
            name ("top_2"), or a test type of the LASEM programs; see
            `transfer_configuration`.
        transfer: Mechanism of the shared layers: `HardTransfer` (HPS),
            `TuckerTransfer` (TF) or `DeconvTransfer` (DF-CNN).
        **options: Arguments of `TaskTraining`, in place of `training`.

    Reference:
        Lee, Behpour, Eaton, ICML 2021, baselines with static configurations.
    """

    of_the_task = "the layers of its own and the head"

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        configuration: str | int = "top_2",
        transfer: Transfer | None = None,
        **options: Any,
    ):
        super().__init__(training, **options)
        self.configuration = configuration
        self.transfer = transfer or HardTransfer()
        self.sharing: tuple[bool, ...] = ()

    @property
    def name(self) -> str:
        return self.transfer.name

    def make_backbone(self, spec: StreamSpec) -> keras.Model:
        backbone = self.training.backbone(spec)
        depth = len(convolutions(backbone))
        self.sharing = transfer_configuration(self.configuration, depth)
        return selective_backbone(
            backbone,
            self.transfer,
            lambda depth: SHARED if self.sharing[depth] else TASK,
        )

    def divide(self, network: TaskNetwork) -> None:
        self.layers = selective_layers(network.backbone)
        divide_by_layers(self, network, self.layers)

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        known = [bool(task.earlier)] * len(self._shared_layers)
        self.transfer.begin_task(self._shared_layers, known)

    def resume_task(self, task: Task, values: Values) -> None:
        super().resume_task(task, values)
        known = [True] * len(self._shared_layers)
        self.transfer.begin_task(self._shared_layers, known)

    def penalty(self) -> Tensor | None:
        mechanism = self.transfer.penalties(self._shared_layers)
        return added([super().penalty(), *mechanism])

    @property
    def _shared_layers(self):
        return [layer for layer in self.layers if layer.sharing == SHARED]

    def bank_notes(self) -> dict[str, Any]:
        return {"configuration": configuration_name(self.sharing)}


def divide_by_layers(
    method: Method, network: TaskNetwork, layers: Sequence[Any]
) -> None:
    """Sets `shared` and `slot` of a method by its selective layers."""
    shared = {id(v) for layer in layers for v in layer.shared_variables}
    everything = network.backbone_variables + network.head_variables
    method.shared = [v for v in everything if id(v.variable) in shared]
    method.slot = [v for v in everything if id(v.variable) not in shared]
    backbone = network.backbone
    copied = own_kernels(backbone, method.slot, layers)
    warn_of_copies(method.name, "convolutions", backbone, copied)
