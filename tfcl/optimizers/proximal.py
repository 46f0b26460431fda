"""Proximal operators: what makes weights exactly zero."""

from __future__ import annotations

import typing

import keras

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Tensor


def soft_threshold(values: Tensor, threshold: Any) -> Tensor:
    """Proximal operator of `threshold * ||w||_1`: nearer to zero, or zero."""
    size = keras.ops.maximum(keras.ops.abs(values) - threshold, 0.0)
    return keras.ops.sign(values) * size


def shrink_groups(values: Tensor, threshold: Any) -> Tensor:
    """Proximal operator of `sum_g threshold_g * ||w_g||_2` (group lasso).

    Args:
        values: Kernel `(..., in, out)`; group g holds all incoming weights
            of output g.
        threshold: Scalar, or one per output `(out,)`; 0 leaves a group alone.
    """
    axes = tuple(range(len(values.shape) - 1))
    norms = keras.ops.sqrt(keras.ops.sum(keras.ops.square(values), axes))
    kept = keras.ops.maximum(norms - threshold, 0.0)
    # A group of zeros stays one, instead of 0 / 0.
    kept = kept / keras.ops.maximum(norms, 1e-30)
    # What is left alone keeps its last bit.
    return values * keras.ops.where(threshold > 0, kept, 1.0)


def with_proximal_step(
    optimizer: type[keras.Optimizer], operators: Any
) -> type[keras.Optimizer]:
    """Makes an optimizer apply an operator after each variable's update.

    The step is w <- prox(w - step(gradient), learning rate).

    Args:
        optimizer: A Keras optimizer, changed in place.
        operators: One per variable in the order of the optimizer's `build`,
            or None; an operator takes the new value and the learning rate.

    Returns:
        The optimizer.
    """
    plain_step = optimizer.update_step

    def update_step(gradient, variable, learning_rate):
        plain_step(gradient, variable, learning_rate)
        operator = operators[optimizer._get_variable_index(variable)]
        if operator is not None:
            value = keras.ops.convert_to_tensor(variable)
            optimizer.assign(variable, operator(value, learning_rate))

    optimizer.update_step = update_step
    return optimizer
