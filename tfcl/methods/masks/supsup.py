"""SupSup: one random network, and a mask for every task."""

from __future__ import annotations

import functools
import typing
from typing import Annotated

import gin
import keras
import numpy as np

from tfcl.arguments import checked, require, within
from tfcl.layers.masked.supermask import Supermask
from tfcl.layers.masked.supermask_conv2d import SupermaskConv2D
from tfcl.layers.masked.supermask_dense import SupermaskDense
from tfcl.methods.network_method import NetworkMethod
from tfcl.models.surgery.lift import lift
from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.task_training import TaskTraining
    from tfcl.models.network import TaskNetwork
    from tfcl.types import Values


_BITS = "mask_bits"


@gin.configurable
class SupSup(NetworkMethod):
    """Supermasks in superposition, with the task known.

    The backbone's random weights are frozen; every task finds which of
    them to use (`Supermask`), and the bank keeps one bit per weight.
    Forgetting is zero. Kernels have one size and random signs, unless the
    backbone is pretrained; there are no biases.

    Args:
        training: `TaskTraining`. Its optimizer trains scores and head.
        share: Part of each kernel that a task uses, in (0, 1].
        **options: Arguments of `TaskTraining`, in place of `training`.

    Note:
        Each task trains its own output layer; the paper masks that, too.
        A task that comes again starts from new scores that give its mask.

    Raises:
        ValueError: If `share` is out of range. At set-up, if the backbone has
            other weights than kernels and biases of convolutions and dense
            layers.

    Reference:
        Wortsman, Ramanujan, Liu, Kembhavi, Rastegari, Yosinski, Farhadi,
        "Supermasks in Superposition", NeurIPS 2020, scenario GG.
    """

    of_the_task = "the mask and the head"
    keeps_shared = True

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        share: Annotated[float, within("(0, 1]")] = 0.5,
        **options: Any,
    ):
        super().__init__(training, **options)
        self.share = share

    def make_backbone(self, spec: StreamSpec) -> keras.Model:
        rules = {
            keras.layers.Conv2D: SupermaskConv2D,
            keras.layers.Dense: SupermaskDense,
        }
        backbone = lift(
            super().make_backbone(spec),
            {
                plain: functools.partial(masked.lift, share=self.share)
                for plain, masked in rules.items()
            },
        )
        self._masked: list[keras.layers.Layer] = [
            la for la in leaf_layers(backbone) if isinstance(la, Supermask)
        ]
        known = {id(v) for layer in self._masked for v in layer.weights}
        other = [v.path for v in backbone.weights if id(v) not in known]
        require(
            not other,
            "TaskTraining.backbone",
            "must have no weights but those of convolutions and dense layers",
            other,
        )
        return backbone

    def divide(self, network: TaskNetwork) -> None:
        scores = {id(layer.scores) for layer in self._masked}
        backbone = network.backbone_variables
        self.shared = [v for v in backbone if id(v.variable) not in scores]
        own = [v for v in backbone if id(v.variable) in scores]
        self.slot = own + network.head_variables

    def resume_task(self, task: Task, values: Values) -> None:
        super().resume_task(task, values)
        # The bank knows the masks alone, whose scores of 0 cannot learn.
        masks = [layer.mask().numpy() for layer in self._masked]
        scores = {id(layer.scores) for layer in self._masked}
        drawn = [v for v in self.slot if id(v.variable) in scores]
        self.redraw(drawn, "again", task.index)
        for layer, mask in zip(self._masked, masks):
            fresh = layer.scores.numpy()
            layer.scores.assign(_with_largest_at(mask, fresh))

    def bank_values(self) -> Values:
        values = super().bank_values()
        for layer in self._masked:
            del values[f"{layer.name}/scores"]
            bits = np.packbits(layer.mask().numpy())
            values[f"{layer.name}/{_BITS}"] = bits
        return values

    def activate(self, values: Values, task_index: int) -> None:
        values = dict(values)
        for layer in self._masked:
            shape = tuple(layer.scores.shape)
            bits = np.unpackbits(
                values.pop(f"{layer.name}/{_BITS}"), count=int(np.prod(shape))
            )
            # Scores whose largest are those of the mask.
            scores = bits.reshape(shape).astype(np.float32)
            values[f"{layer.name}/scores"] = scores
        super().activate(values, task_index)


def _with_largest_at(mask, scores):
    """The sizes of scores dealt out anew: the largest where the mask is."""
    sizes = np.abs(scores).ravel()
    # Rising: the mask's places behind all others, either by their own sizes.
    places = np.lexsort((sizes, mask.ravel()))
    dealt = np.empty_like(sizes)
    dealt[places] = np.sort(sizes)
    return np.copysign(dealt.reshape(scores.shape), scores)
