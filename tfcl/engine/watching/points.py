"""Numbers and figures of a run, told to TensorBoard's files and to loggers."""

from __future__ import annotations

import math
import typing

if typing.TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tfcl.reporting.loggers.all_loggers import Loggers
    from tfcl.reporting.summaries import Summaries

# Seconds that a logger may keep what it is told before it sends it on; that of
# W&B does for 15.
_MAY_BE_LOST = 30.0


class Points:
    """Tells both the same, and nothing that was on disk when the run went on.

    Args:
        summaries: `Summaries`, which know what was.
        loggers: `Loggers`.
    """

    def __init__(self, summaries: Summaries, loggers: Loggers):
        self._summaries, self._loggers = summaries, loggers

    def tell_newest_again(self) -> None:
        """Tells loggers what they were told last before the run was killed.

        Call it before all else.
        """
        for step, values, images in self._summaries.newest(_MAY_BE_LOST):
            self._loggers.scalars(values, step)
            for tag, png in images.items():
                self._loggers.image(tag, png, step)

    def scalars(
        self, prefix: str, values: Mapping[str, float], step: int
    ) -> None:
        """Tells numbers by name, with the tags `prefix/name`; no NaN."""
        tags = {f"{prefix}/{name}": float(v) for name, v in values.items()}
        new = {
            tag: value
            for tag, value in tags.items()
            if not (math.isnan(value) or self._summaries.has(tag, step))
        }
        self._loggers.scalars(new, step)
        self._summaries.scalars(prefix, dict(values), step)

    def image(self, tag: str, figure: Any, step: int) -> None:
        """Tells a `matplotlib.figure.Figure`."""
        if not self._summaries.has(tag, step):
            png = self._summaries.image(tag, figure, step)
            self._loggers.image(tag, png, step)
