"""Channels of a network that is a multiple as large, in parameters."""

from __future__ import annotations

import math

from tfcl.arguments import PositiveFloat, checked


class Width:
    """Scales channel counts by the root of a multiple of the parameters.

    Args:
        width: q. With `floor(v sqrt(q))` units in place of v on both sides,
            a kernel has about q times the weights.

    Raises:
        ValueError: If `width` is not positive.
    """

    @checked
    def __init__(self, width: PositiveFloat):
        self._factor = math.sqrt(width)

    def __call__(self, channels: int) -> int:
        return max(1, int(channels * self._factor))
