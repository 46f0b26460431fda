"""A network inside a wider one: its units are the first of every layer."""

from __future__ import annotations

import typing

import keras
import numpy as np

from tfcl.models.surgery.rewire import inlined, rewire

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape


def block_view(
    value: np.ndarray, shape: Shape, positions: int = 1
) -> np.ndarray:
    """The part of an array that the narrower network has; shares memory.

    Args:
        value: Array of the wider network. A kernel ends in (units below,
            units); in a dense layer over a flattened map, the rows are
            (positions, units below), units fastest.
        shape: Shape of the narrower network's array, of the same rank.
        positions: Positions of the flattened map under a dense kernel, or of
            the one that a norm works on.

    Returns:
        View in `shape`, or with more than one of `positions`
        `(..., positions, units below, units)`.
    """
    if positions == 1:
        # The dots make a view of an array without axes, too.
        part: tuple[Any, ...] = (..., *(slice(count) for count in shape))
        return value[part]
    if value.ndim == 1:  # A norm's, of every place of the map.
        return value.reshape(positions, -1)[:, : shape[0] // positions]
    *window, rows, units = value.shape
    view = value.reshape(*window, positions, rows // positions, units)
    return view[..., : shape[-2] // positions, : shape[-1]]


def block_of(value: np.ndarray, shape: Shape, positions: int = 1) -> np.ndarray:
    """The same as a new array in `shape`; arguments as of `block_view`."""
    return block_view(value, shape, positions).reshape(shape).copy()


def widened(
    block: np.ndarray, fresh: np.ndarray, positions: int = 1
) -> np.ndarray:
    """`fresh` with a narrower network's array in its leading block.

    Args:
        block: Array of the narrower network.
        fresh: Array of the wider one, with values for what is new.
        positions: As of `block_view`.
    """
    result = np.array(fresh)
    view = block_view(result, block.shape, positions)
    view[...] = block.reshape(view.shape)
    return result


def flattened_positions(model: keras.Model) -> dict[str, int]:
    """Positions of the flattened map that each weight works on.

    Args:
        model: A functional or built sequential model.

    Returns:
        `{"layer/weight": positions}`: kernels of dense layers over a flattened
        map, and all weights of norms between the two.
    """
    found, behind = {}, {}

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        if len(args) != 1 or not isinstance(args[0], keras.KerasTensor):
            return outputs
        under = behind.get(id(args[0]), 1)
        if isinstance(layer, keras.layers.Flatten):
            under = int(np.prod(args[0].shape[1:-1], dtype=int))
        elif getattr(layer, "weights", None):
            dense = isinstance(layer, keras.layers.Dense)
            weights = [layer.kernel] if dense else layer.weights
            if under > 1:
                names = [f"{layer.name}/{weight.name}" for weight in weights]
                found.update(dict.fromkeys(names, under))
            under = 1 if dense else under
        behind[id(outputs)] = under
        kept.append(outputs)  # An id counts as long as its object lives.
        return outputs

    kept = []
    rewire(inlined(model), call)
    return found
