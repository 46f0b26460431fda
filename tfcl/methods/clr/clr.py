"""CLR: a frozen backbone, reprogrammed channel by channel for every task."""

from __future__ import annotations

import typing
from typing import Annotated

import gin
import keras

from tfcl.arguments import checked, one_of, within
from tfcl.layers.reprogram.channel_reprogram import ChannelReprogram, OddInt
from tfcl.layers.reprogram.gated_reprogram import GatedReprogram
from tfcl.methods.network_method import NetworkMethod
from tfcl.methods.protocols import SupportsBundle
from tfcl.methods.tensor_norms import trained_weights
from tfcl.models.surgery.bundled_network import BundledNetwork
from tfcl.models.surgery.lift import lift
from tfcl.models.surgery.reprogram import CLR as SMALL
from tfcl.models.surgery.reprogram import MODES, reprogram
from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.data.task import StreamSpec
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.tensor_norms import TensorNorms
    from tfcl.models.network import TaskNetwork
    from tfcl.types import Tensor, Values


NORMS = "norms"

_NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
)


@gin.configurable
class CLR(NetworkMethod, SupportsBundle):
    """Frozen convolutions, and small filters behind them for every task.

    Every task starts from the pristine backbone and trains reprogramming
    filters `R`, scale and shift of every normalisation, and a head; moving
    statistics are the task's, too. All else never changes, so forgetting is
    exactly zero and the order of the tasks does not matter. A task's state is
    `9 sum C_l` filter weights, `4 C` parameters per batch norm, and the head:
    0.6 % of a ResNet-50 without its head.

    Args:
        training: `TaskTraining`. With `pretrained=True` the backbone's
            weights are frozen as they come, otherwise as drawn.
        mode: "clr", "full" (CLR-Full), "scale" or "gated" choose the
            convolutions, see `tfcl.models.surgery.reprogram`; "norms" trains
            normalisation and head alone, without filters.
        kernel_size: Side of the filters in pixels, odd.
        squeeze_excite: Whether 1 x 1 convolutions behind a global pooling
            count.
        tensor_norms: Optional `TensorNorms`: the penalty on what a task
            trains; gates are left out, as by the published program.
        penalize_frozen: Adds the kernels of reprogrammed convolutions to the
            penalty, as the published program does: it changes the reported
            loss, and no gradient.
        norm_momentum: Share of the moving statistics that a step of batch
            norm keeps; None leaves the backbone's own. Keras' networks have
            0.99 and more, which is slow for tasks of some thousand steps.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Raises:
        ValueError: If an argument breaks its rule or, at set-up, the backbone
            has no convolution that takes part (nothing to normalise, in mode
            "norms").

    Reference:
        Ge et al., "CLR: Channel-wise Lightweight Reprogramming for Continual
        Learning", ICCV 2023, section 3.
    """

    of_the_task = "the reprogramming layers, norms and head"
    keeps_shared = True
    begins_plain = True

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        mode: Annotated[str, one_of(*MODES, NORMS)] = SMALL,
        kernel_size: OddInt = 3,
        squeeze_excite: bool = False,
        tensor_norms: TensorNorms | None = None,
        penalize_frozen: bool = False,
        norm_momentum: Annotated[float, within("[0, 1)")] | None = None,
        **options: Any,
    ):
        super().__init__(training, **options)
        self.mode = mode
        self.kernel_size = kernel_size
        self.squeeze_excite = squeeze_excite
        self.tensor_norms = tensor_norms
        self.penalize_frozen = penalize_frozen
        self.norm_momentum = norm_momentum
        self.sites = []

    @property
    def name(self) -> str:
        return super().name if self.mode == SMALL else f"CLR-{self.mode}"

    def make_backbone(self, spec: StreamSpec) -> keras.Model:
        backbone = super().make_backbone(spec)
        if self.mode == NORMS:
            lifted = lift(backbone, {})
            _require_normalization(lifted)
        else:
            lifted, self.sites = reprogram(
                backbone, self.mode, self.kernel_size, self.squeeze_excite
            )
        for layer in leaf_layers(lifted):
            # So that the frozen ones get no gradients, and a file's own
            # choice does not count.
            layer.trainable = _belongs_to_the_task(layer)
            if self.norm_momentum is not None and hasattr(layer, "momentum"):
                layer.momentum = self.norm_momentum
        return lifted

    def divide(self, network: TaskNetwork) -> None:
        own = {
            id(variable)
            for layer in leaf_layers(network.backbone)
            if _belongs_to_the_task(layer)
            for variable in layer.weights
        }
        backbone = network.backbone_variables
        self.shared = [v for v in backbone if id(v.variable) not in own]
        self.slot = [v for v in backbone if id(v.variable) in own]
        self.slot += network.head_variables

    def normed_weights(self) -> list[Tensor]:
        gates = {
            id(site.layer.gate)
            for site in self.sites
            if isinstance(site.layer, GatedReprogram)
        }
        owned = [v for v in self.slot if id(v.variable) not in gates]
        tensors = trained_weights(owned, self.head)
        if self.penalize_frozen:
            tensors += [_kernel(site.conv) for site in self.sites]
        return tensors

    def bundle(self, finished: Sequence[tuple[Values, int]]) -> BundledNetwork:
        def activations():
            for values, index in finished:
                self.activate(values, index)
                yield

        return BundledNetwork(self.network(), activations())

    def bank_notes(self) -> dict[str, Any]:
        """Numbers that the task keeps, by what they are for."""
        values = self.bank_values()
        filters = {f"{site.layer.name}/" for site in self.sites}
        counts = {"filters": 0, "norms": 0, "head": 0}
        for name, value in values.items():
            if name == f"{self.head.name}/columns":
                continue
            part = "norms"
            if name.startswith(f"{self.head.name}/"):
                part = "head"
            elif name.startswith(tuple(filters)):
                part = "filters"
            counts[part] += int(value.size)
        return {"numbers": counts}


def _belongs_to_the_task(layer):
    return isinstance(layer, (*_NORMALIZATIONS, ChannelReprogram))


def _require_normalization(backbone):
    if not any(isinstance(la, _NORMALIZATIONS) for la in leaf_layers(backbone)):
        raise ValueError(
            f"Backbone '{backbone.name}' has no normalisation, the only thing "
            "that CLR.mode = 'norms' would train beside the head. Choose "
            "another backbone or mode, or FrozenBackbone for a linear probe."
        )


def _kernel(conv):
    """The frozen kernel of a convolution, first of its weights."""
    return conv.weights[0].value
