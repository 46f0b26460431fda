"""Cross-entropy for classes of very different size."""

from __future__ import annotations

import typing

import keras
import numpy as np

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tfcl.types import Tensor


def class_weights(counts: Any) -> np.ndarray:
    """Weight of each class, `(sum(n) - n) / n`, float64.

    Args:
        counts: Examples n of each class, positive.
    """
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 1 or not counts.size or not (counts > 0).all():
        raise ValueError(
            "Argument `counts` must hold a positive number of examples per "
            f"class. Received: counts={counts.tolist()}"
        )
    return (counts.sum() - counts) / counts


def weighted_cross_entropy(
    labels: Tensor,
    logits: Tensor,
    weights: Any,
    total: Callable[[Tensor], Tensor] = lambda value: value,
) -> Tensor:
    """`sum(w_y l) / sum(w_y)` over a batch, a scalar.

    Args:
        labels: Integers `(batch,)`.
        logits: `(batch, classes)`.
        weights: w, one per class, see `class_weights`.
        total: Function from a tensor to its sum over replicas. The result
            is then this replica's part of the loss.

    Source: `torch.nn.CrossEntropyLoss(weight=...)`, as the published program
    of Hung et al., NeurIPS 2019, uses it for facial expressions.
    """
    weights = keras.ops.convert_to_tensor(weights, logits.dtype)
    mine = keras.ops.take(weights, labels)
    losses = keras.ops.sparse_categorical_crossentropy(
        labels, logits, from_logits=True
    )
    return keras.ops.sum(mine * losses) / total(keras.ops.sum(mine))
