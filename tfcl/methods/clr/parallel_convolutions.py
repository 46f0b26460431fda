"""A 1 x 1 convolution of the task's own beside every frozen convolution."""

from __future__ import annotations

import typing

import gin
import keras

from tfcl.arguments import checked
from tfcl.layers.fan_in_uniform import FanInUniform
from tfcl.layers.reprogram.parallel_conv2d import ParallelConv2D
from tfcl.methods.network_method import NetworkMethod
from tfcl.models.surgery.lift import lift
from tfcl.models.surgery.selective import warn_of_wrapped
from tfcl.models.variables import Owned, leaf_layers

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.task import StreamSpec
    from tfcl.methods.base import Batch, Update
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.tensor_norms import TensorNorms
    from tfcl.models.network import TaskNetwork


@gin.configurable
class ParallelConvolutions(NetworkMethod):
    """A frozen network; every task trains kernels of 1 x 1 and a head.

    A reference of CLR with many more weights: `sum C_in C_out` over all
    convolutions, 13,385,920 of a ResNet-50 and 1,392,832 of a ResNet-18 per
    task. Normalisations keep the backbone's statistics, in training, too.
    Forgetting is zero.

    Args:
        training: `TaskTraining`. With `pretrained=True` the backbone's
            weights are frozen as they come, otherwise as drawn.
        tensor_norms: Optional `TensorNorms`: the penalty on what a task
            trains.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Raises:
        ValueError: At set-up, if the backbone has no convolution.

    Reference:
        The program of Ge et al., "CLR: Channel-wise Lightweight
        Reprogramming for Continual Learning", ICCV 2023 (its methods `li18`
        and `li50`).
    """

    of_the_task = "the parallel convolutions, norms and head"
    keeps_shared = True
    shared_in_training = False

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        tensor_norms: TensorNorms | None = None,
        **options: Any,
    ):
        super().__init__(training, **options)
        self.tensor_norms = tensor_norms

    def make_backbone(self, spec: StreamSpec) -> keras.Model:
        rules = {keras.layers.Conv2D: ParallelConv2D.lift}
        plain = super().make_backbone(spec)
        warn_of_wrapped(plain, "kernels")
        backbone = lift(plain, rules)
        for layer in leaf_layers(backbone):
            if not isinstance(layer, ParallelConv2D):
                layer.trainable = False
        return backbone

    def divide(self, network: TaskNetwork) -> None:
        own = {
            id(layer.parallel)
            for layer in leaf_layers(network.backbone)
            if isinstance(layer, ParallelConv2D)
        }
        backbone = network.backbone_variables
        self.shared = [v for v in backbone if id(v.variable) not in own]
        # Drawn anew for every task, also where the backbone is pretrained.
        self.slot = [
            Owned.of(v.name, v.variable, FanInUniform())
            for v in backbone
            if id(v.variable) in own
        ]
        self.slot += network.head_variables

    def train_step(self, batch: Batch) -> Update:
        return self.step_of(self._trained, batch, training=False)
