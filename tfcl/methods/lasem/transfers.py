"""The transfer mechanisms that the LASEM line compares."""

from __future__ import annotations

import abc
import typing

import gin
import keras

from tfcl.arguments import NonNegativeFloat, checked, require
from tfcl.layers.transfer.additive_kernel import AdditiveKernel
from tfcl.layers.transfer.deconv_kernel import TENSORDOT, DeconvKernel
from tfcl.layers.transfer.hard_kernel import HardKernel
from tfcl.layers.transfer.tucker_kernel import TuckerKernel

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.types import Tensor


class Transfer(abc.ABC):
    """How a layer's kernel comes out of what the tasks share."""

    name = "transfer"

    @abc.abstractmethod
    def generator(self, depth: int, conv: keras.layers.Conv2D) -> Any:
        """A `KernelGenerator` for the convolution number `depth`."""

    def begin_task(self, layers: Sequence[Any], known: Any) -> None:
        """Called when a task begins, before its first step.

        Args:
            layers: `SelectiveConv2D`s that are or may be shared.
            known: A boolean per layer: an earlier task has shared it.
        """

    def penalties(self, layers: Sequence[Any]) -> list[Tensor]:
        """What training adds for each of the shared layers.

        Args:
            layers: All `SelectiveConv2D`s that are or may be shared.

        Returns:
            A scalar or None per layer.
        """
        return [self.penalty(layer) for layer in layers]

    def penalty(self, layer: keras.layers.Layer) -> Tensor | None:
        """What training adds for a shared layer; a scalar or None."""
        del layer
        return None


@gin.configurable
class HardTransfer(Transfer):
    """HPS: the shared kernel is used as it is."""

    name = "HPS"

    def generator(self, depth: int, conv: keras.layers.Conv2D) -> Any:
        del depth
        return HardKernel(conv.kernel_initializer, conv.bias_initializer)


@gin.configurable
class TuckerTransfer(Transfer):
    """TF: a shared Tucker core, orthogonal factors per task.

    Args:
        penalty_weight: Weight of the factors' distance from orthogonality
            (lambda_aux).
    """

    name = "TF"

    @checked
    def __init__(self, penalty_weight: NonNegativeFloat = 0.1):
        self.penalty_weight = penalty_weight

    def generator(self, depth: int, conv: keras.layers.Conv2D) -> Any:
        """A `TuckerKernel`."""
        del depth, conv
        return TuckerKernel()

    def penalty(self, layer: keras.layers.Layer) -> Tensor | None:
        """`penalty_weight * sum_k ||U_k^T U_k - I||_F`."""
        if self.penalty_weight == 0:
            return None
        return self.penalty_weight * layer.generator.penalty()


@gin.configurable
class DeconvTransfer(Transfer):
    """DF-CNN: kernels deconvolved out of a shared knowledge base.

    Args:
        bases: Per convolution `(side, channels)` of the knowledge base; for
            "tc2" `(side, depth, channels)`. None, for networks without
            published sizes: half the kernel's side, rounded up, and half its
            output channels, at most 64 (also the depth).
        filters: Per convolution `(side, channels)` of the deconvolution; for
            "direct" `(side,)`. None with `bases`: side 3 and as many channels
            as the kernel puts out, at most 128.
        variant: "tensordot", "direct" or "tc2".
        l2_shared: Adds `l2_shared / 2 * ||base||^2`. The reference's own
            regulariser is numerically nil, so parity is 0.
        l2_task: Adds `l2_task / 2 * ||w||^2` for the task's filter, filter
            bias and contractions.
    """

    name = "DF-CNN"

    @checked
    def __init__(
        self,
        bases: tuple | None = None,
        filters: tuple | None = None,
        variant: str = TENSORDOT,
        l2_shared: float = 0.0,
        l2_task: float = 0.0,
    ):
        count = None if bases is None else len(bases)
        require(
            count == (None if filters is None else len(filters)),
            "filters",
            f"must have one entry per base, of which there are {count}",
            filters,
        )
        self.bases = bases and tuple(bases)
        self.filters = filters and tuple(filters)
        self.variant = variant
        self.l2_shared = l2_shared
        self.l2_task = l2_task

    def generator(self, depth: int, conv: keras.layers.Conv2D) -> Any:
        """A `DeconvKernel`."""
        if self.bases is None:
            channels = max(1, min(conv.filters // 2, 64))
            return DeconvKernel(
                base_side=-(-conv.kernel_size[0] // 2),
                base_channels=channels,
                filter_side=3,
                filter_channels=min(conv.filters, 128),
                base_depth=channels,
                variant=self.variant,
            )
        require(
            depth < len(self.bases),
            "bases",
            f"must have an entry for each convolution ('{conv.name}' is "
            f"number {depth + 1})",
            self.bases,
        )
        assert self.filters is not None, "as many as bases"
        side, *between, channels = self.bases[depth]
        filter_side, *filter_channels = self.filters[depth]
        return DeconvKernel(
            side,
            channels,
            filter_side,
            filter_channels[0] if filter_channels else None,
            between[0] if between else 1,
            self.variant,
        )

    def penalty(self, layer: keras.layers.Layer) -> Tensor | None:
        """The L2 terms, None where both weights are 0."""
        terms = []
        generator = layer.generator
        # The bias of the convolution is not regularised.
        task = [generator.filter, generator.filter_bias]
        task += generator.contractions
        for weight, variables in (
            (self.l2_shared, [generator.base]),
            (self.l2_task, task),
        ):
            if weight:
                terms += [
                    0.5 * weight * keras.ops.sum(keras.ops.square(v))
                    for v in variables
                ]
        return sum(terms) if terms else None


@gin.configurable
class AdditiveTransfer(Transfer):
    """APD: a shared kernel, masked for the task, plus the task's own part.

    Args:
        sparsity: lambda_1, weight of the mean over layers of `mean |tau|`.
        retention: lambda_2, weight of the mean over layers of
            `||S - S_old||^2 / (2 n)` from the second task on, S_old from before
            the task. The published program means 100, but never adds the
            term: 0 is parity.

    Note:
        Earlier tasks' tau is not changed after their training, though the
        paper offers it: the bank never changes.
    """

    name = "APD"

    @checked
    def __init__(
        self,
        sparsity: NonNegativeFloat = 4e-4,
        retention: NonNegativeFloat = 0.0,
    ):
        self.sparsity = sparsity
        self.retention = retention

    def generator(self, depth: int, conv: keras.layers.Conv2D) -> Any:
        del depth
        return AdditiveKernel(
            retains=self.retention > 0,
            kernel_initializer=conv.kernel_initializer,
            bias_initializer=conv.bias_initializer,
        )

    def begin_task(self, layers: Sequence[Any], known: Any) -> None:
        if self.retention > 0:
            for layer, learned in zip(layers, known):
                layer.generator.retain(learned)

    def penalties(self, layers: Sequence[Any]) -> list[Tensor]:
        return [self._penalty(la.generator, len(layers)) for la in layers]

    def _penalty(self, generator, num_layers):
        total = self.sparsity * generator.penalty()
        if self.retention > 0:
            total += self.retention * generator.drift()
        return total / num_layers
