"""What the owners of all weights say of a task, as notes for the bank."""

from __future__ import annotations

import math
import typing

from tfcl.metrics.ownership import ownership

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def ownership_notes(
    masked: Sequence[Any],
    number: int,
    width: float = 1.0,
    picks: bool = False,
) -> dict[str, Any]:
    """Counts the owners and picks as they stand.

    Args:
        masked: `MaskedKernel` layers, built, in the backbone's order.
        number: Of the task, from 1.
        width: q, see `ownership`.
        picks: Whether tasks pick among earlier weights.

    Returns:
        JSON-ready dictionary: `sparsity`, a fraction, of all layers together;
        `ownership`, all shares of `ownership`; `own_by_layer`,
        `free_by_layer` and `shared_by_layer`, `{layer: share}`. None where
        nothing is to be counted.
    """
    owners = [layer.owner.numpy() for layer in masked]
    picked = None
    if picks and number > 1:
        picked = [layer.scores.numpy() > layer.threshold for layer in masked]

    def shares(begin, end):
        part = picked and picked[begin:end]
        return shares_of(owners[begin:end], number, width, part)

    whole = shares(0, len(masked))
    layers = {
        layer.name: shares(depth, depth + 1)
        for depth, layer in enumerate(masked)
    }
    notes = {"sparsity": whole["sparsity"], "ownership": whole}
    for share in ("own", "free", "shared"):
        notes[f"{share}_by_layer"] = {
            name: found[share] for name, found in layers.items()
        }
    return notes


def shares_of(*arguments: Any) -> dict[str, float | None]:
    """`ownership` of these arguments, for JSON: None instead of NaN."""
    found = ownership(*arguments)
    return {k: None if math.isnan(v) else v for k, v in found.items()}
