"""How the weights of a network are shared out among tasks, in NumPy."""

from __future__ import annotations

import math
import typing

import numpy as np

if typing.TYPE_CHECKING:
    from collections.abc import Sequence


def ownership(
    owners: Sequence[np.ndarray],
    task: int,
    width: float = 1.0,
    picks: Sequence[np.ndarray] | None = None,
) -> dict[str, float]:
    """Shares of the weights of all masked layers together.

    Args:
        owners: Per layer, uint8 array: 0 for free weights, t for those of
            the t-th task.
        task: Number of the task, from 1.
        width: Size of the network in parameters, as a multiple of the first
            one (q); `own` and `free` count in units of the first network.
        picks: Per layer, boolean array of the same shape: the weights that
            the task picks. None for a task that picks all.

    Returns:
        Dictionary of floats, NaN where nothing is to be counted:
        `sparsity` = free / (free + own), `own` = q own / all, `free` =
        q free / all, `shared` = share of the weights of earlier tasks that
        are picked.

    Source: Hung et al., NeurIPS 2019, statistics of the published program.
    """
    own = free = earlier = picked = total = 0
    for layer, owner in enumerate(owners):
        owner = np.asarray(owner)
        old = (owner > 0) & (owner < task)
        mine = old if picks is None else old & np.asarray(picks[layer], bool)
        own += int(np.count_nonzero(owner == task))
        free += int(np.count_nonzero(owner == 0))
        earlier += int(np.count_nonzero(old))
        picked += int(np.count_nonzero(mine))
        total += owner.size
    return {
        "sparsity": _share(free, free + own),
        "own": _share(own, total) * width,
        "free": _share(free, total) * width,
        "shared": _share(picked, earlier),
    }


def _share(part, whole):
    return part / whole if whole else math.nan
