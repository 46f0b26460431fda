"""Where the arrays of PyTorch's residual networks belong."""

from __future__ import annotations

import re
import typing

_WEIGHTS = {
    "conv": {"weight": "kernel", "bias": "bias"},
    "bn": {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    },
}
_PART = re.compile(
    r"(?:layer(?P<stage>\d+)\.(?P<block>\d+)\.)?"
    r"(?:(?P<kind>conv|bn)(?P<number>\d+)|downsample\.(?P<shortcut>[01]))"
    r"\.(?P<weight>\w+)"
)


class Part(typing.NamedTuple):
    """A weight of a residual network by its name in a state dict.

    Attributes:
        stage: Number from 1; None for the stem.
        block: Number in the stage from 0; None for the stem.
        number: Of the layer in its block, from 1; None for shortcuts.
        kind: "conv" or "bn".
        weight: Name of the weight in Keras.
    """

    stage: int | None
    block: int | None
    number: int | None
    kind: str
    weight: str


def part(name: str) -> Part | None:
    """The `Part` of a name like "layer1.0.bn2.running_mean".

    A leading "module." (of training on several devices) does not count.

    Returns:
        None for other arrays: classifiers, counters, projections.
    """
    found = _PART.fullmatch(name.removeprefix("module."))
    if found is None:
        return None
    kind = found["kind"] or ("conv", "bn")[int(found["shortcut"])]
    weight = _WEIGHTS[kind].get(found["weight"])
    if weight is None:
        return None
    stage, block, number = (
        None if digits is None else int(digits)
        for digits in found.group("stage", "block", "number")
    )
    return Part(stage, block, number, kind, weight)
