"""Says once, before the first step, what tasks share and what each owns."""

from __future__ import annotations

import collections
import math
import typing

from absl import logging

from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import keras

    from tfcl.models.variables import Owned


def say_shared(
    method: str, backbone: keras.Model, slot: Sequence[Owned]
) -> None:
    """Says in the log how many weights of a backbone tasks have in common.

    Args:
        method: Its name.
        backbone: The method's, built.
        slot: What every task has for itself.
    """
    own = {id(owned.variable) for owned in slot}
    inside = {id(v) for v in backbone.variables}
    heads = any(
        owned.variable.trainable and id(owned.variable) not in inside
        for owned in slot
    )
    kinds: dict[str, list[int]] = collections.defaultdict(list)
    shared = 0
    for layer in leaf_layers(backbone):
        sizes = {id(v): math.prod(v.shape) for v in layer.weights}
        mine = sum(size for key, size in sizes.items() if key in own)
        shared += sum(sizes.values()) - mine
        if mine:
            kinds[type(layer).__name__].append(mine)
    whole = sum(sum(sizes) for sizes in kinds.values())
    listed = ", ".join(
        f"{sum(sizes)} in {len(sizes)} {kind}" for kind, sizes in kinds.items()
    )
    logging.info(
        "%s: tasks share %d weights of backbone '%s'%s; every task has %s of "
        "its own%s%s.",
        method,
        shared,
        backbone.name,
        "" if heads else ", and the head",
        whole or "none",
        f" ({listed})" if listed else "",
        ", and its head" if heads else "",
    )


def own_kernels(
    backbone: keras.Model, slot: Sequence[Owned], handled: Collection
) -> dict[str, int]:
    """`{layer: weights}` of layers that every task copies, kernels and all.

    Args:
        backbone: The method's, built.
        slot: What every task has for itself.
        handled: Layers that the method shares by its rule.
    """
    own = {id(owned.variable) for owned in slot}
    known = {id(layer) for layer in handled}
    found = {}
    for layer in leaf_layers(backbone):
        mine = [v for v in layer.weights if id(v) in own]
        if id(layer) not in known and any(len(v.shape) > 1 for v in mine):
            found[layer.name] = sum(math.prod(v.shape) for v in mine)
    return found


def warn_of_copies(
    method: str, rule: str, backbone: keras.Model, copied: Mapping[str, int]
) -> None:
    """Warns of kernels that could be shared, but not by this method.

    Args:
        method: Its name.
        rule: What it shares, such as "convolutions".
        backbone: The method's, built.
        copied: `{layer: weights}` of what every task copies.
    """
    if not copied:
        return
    kinds = {la.name: type(la).__name__ for la in leaf_layers(backbone)}
    logging.warning(
        "%s shares %s alone. These layers are copied for every task, with all "
        "their weights: %s.",
        method,
        rule,
        ", ".join(
            f"{name} ({kinds[name]}, {count} weights)"
            for name, count in copied.items()
        ),
    )
