"""How much of a backbone its tasks pack into masks, and what they own."""

from __future__ import annotations

import math
import typing

from absl import logging

from tfcl.layers.masked.masked_kernel import MaskedKernel
from tfcl.methods.shared_weights import warn_of_copies
from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from typing import Any

    import keras


def weight_shares(backbone: keras.Model) -> dict[str, Any]:
    """Numbers of a backbone by whom they serve; JSON-ready.

    Args:
        backbone: In training, with `MaskedKernel` layers.

    Returns:
        `masked`: numbers in masked kernels, which tasks share out among them;
        `own`: all others, of which every task has its own (biases, norms,
        and the kernels of layers that cannot be masked); `masked_share`; and
        `own_kernels`, `{layer: numbers}` of those layers.
    """
    masked = own = 0
    kernels: dict[str, int] = {}
    for layer in leaf_layers(backbone):
        packed = isinstance(layer, MaskedKernel)
        sizes = [
            (math.prod(v.shape), len(v.shape))
            for v in _numbers(layer)
            if not (packed and v is layer.kernel)
        ]
        own += sum(size for size, _ in sizes)
        if packed:
            masked += math.prod(layer.kernel.shape)
        elif large := sum(size for size, rank in sizes if rank > 1):
            kernels[layer.name] = large
    return {
        "masked": masked,
        "own": own,
        "masked_share": masked / (masked + own),
        "own_kernels": kernels,
    }


def say_shares(method: str, backbone: keras.Model) -> None:
    """Says in the log what is packed, and warns of kernels that are not."""
    shares = weight_shares(backbone)
    logging.info(
        "%s packs %d of the %d weights of backbone '%s' (%.1f %%); of all "
        "others every task has its own.",
        method,
        shares["masked"],
        shares["masked"] + shares["own"],
        backbone.name,
        100 * shares["masked_share"],
    )
    rule, copied = "convolutions and dense layers", shares["own_kernels"]
    warn_of_copies(method, rule, backbone, copied)


def _numbers(layer):
    """Weights of a layer without what only the masks need."""
    if not isinstance(layer, MaskedKernel):
        return layer.weights
    return [v for v in layer.trainable_weights if v is not layer.scores]
