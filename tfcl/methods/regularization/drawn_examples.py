"""Some examples of a task, for statistics that need not see all."""

from __future__ import annotations

import typing

import numpy as np

from tfcl import randomness

if typing.TYPE_CHECKING:
    from tfcl.data.split import Split


def drawn_examples(split: Split, count: int | None, *key) -> Split:
    """Examples drawn without replacement, in the split's order.

    Args:
        split: `Split`.
        count: Their number; None or more than there are takes all.
        *key: Of the draw, see `randomness.generator`.
    """
    if count is None or count >= len(split):
        return split
    order = randomness.generator(*key).permutation(len(split))
    return split.taken(np.sort(order[:count]))
