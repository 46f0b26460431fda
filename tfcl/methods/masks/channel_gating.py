"""Conditional channel gating: every task weighs the shared channels."""

from __future__ import annotations

import typing
from typing import Annotated

import gin
import keras

from tfcl.arguments import above, at_least, checked
from tfcl.layers.masked.channel_gate import ChannelGate, GateEntropy
from tfcl.methods.network_method import NetworkMethod
from tfcl.models.surgery.channel_gates import gated
from tfcl.models.surgery.selective import convolutions
from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.task import StreamSpec
    from tfcl.methods.task_training import TaskTraining
    from tfcl.models.network import TaskNetwork


@gin.configurable
class ChannelGating(NetworkMethod):
    """Shared convolutions, and gates on their channels for every task.

    `h = pool(relu(conv(x))) * g(x)`, `g = softmax(FC2(relu(FC1(flatten(x))))
    / temperature)`. The convolutions go on training with every task and are
    not protected; gates and head belong to the task.

    Args:
        training: `TaskTraining`; gates start like its head.
        hidden_units: Width of FC1.
        temperature: Of the softmax over channels.
        entropy_weight: Weight of the mean over layers and images of the
            entropy of the gates, in nats. The published program's sparsity
            loss, 100 times the mean of the gates, is constant because they
            sum to 1: 0 is parity.
        **options: Arguments of `TaskTraining`, in place of `training`;
            hidden layers of the head are left to a `training`.

    Reference:
        See `ChannelGate`.
    """

    of_the_task = "the gates and the head"

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        hidden_units: Annotated[int, at_least(1)] = 256,
        temperature: Annotated[float, above(0)] = 0.1,
        entropy_weight: Annotated[float, at_least(0)] = 0.0,
        **options: Any,
    ):
        super().__init__(training, **options)
        self.hidden_units = hidden_units
        self.temperature = temperature
        self.entropy_weight = entropy_weight

    def make_backbone(self, spec: StreamSpec) -> keras.Model:
        backbone = super().make_backbone(spec)
        regularizer = None
        if self.entropy_weight > 0:
            weight = self.entropy_weight / len(convolutions(backbone))
            regularizer = GateEntropy(weight)

        def gate(conv):
            return ChannelGate(
                conv.filters,
                self.hidden_units,
                self.temperature,
                kernel_initializer=keras.initializers.TruncatedNormal(
                    stddev=self.training.head_stddev
                ),
                bias_initializer=keras.initializers.Constant(
                    self.training.head_bias
                ),
                activity_regularizer=regularizer,
                name=f"{conv.name}_gate",
                dtype=conv.dtype_policy,
            )

        return gated(backbone, gate)

    def divide(self, network: TaskNetwork) -> None:
        gates = {
            id(variable)
            for layer in leaf_layers(network.backbone)
            if isinstance(layer, ChannelGate)
            for variable in layer.weights
        }
        backbone = network.backbone_variables
        self.shared = [v for v in backbone if id(v.variable) not in gates]
        self.slot = [v for v in backbone if id(v.variable) in gates]
        self.slot += network.head_variables
