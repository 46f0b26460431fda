"""In which order examples are seen, and which of them make a batch."""

from __future__ import annotations

import typing

import numpy as np
import tensorflow as tf

if typing.TYPE_CHECKING:
    from tfcl.data.split import Split
    from tfcl.types import Tensor


def epoch_order(
    count: int, shuffle: bool, generator: np.random.Generator
) -> np.ndarray:
    """The order of an epoch, int32 `(count,)`."""
    if not shuffle:
        return np.arange(count, dtype=np.int32)
    return generator.permutation(count).astype(np.int32)


def in_stored_order(
    split: Split, batch_size: int
) -> tuple[Split, np.ndarray, int, int]:
    """Split, order, first and last batch of a pass over all of it."""
    batches = -(-len(split) // batch_size)
    return split, np.arange(len(split), dtype=np.int32), 0, batches


def rows_of_batch(
    order: Tensor,
    step: Tensor,
    size: Tensor | int,
    static_size: int | None = None,
) -> Tensor:
    """Examples of a batch; the last one of an order may be smaller."""
    if static_size:  # XLA needs to know the shape
        return tf.slice(order, [step * static_size], [static_size])
    first = step * size
    return order[first : tf.minimum(first + size, tf.size(order))]
