"""A chain of convolutions and dense layers whose units can be counted."""

from __future__ import annotations

import typing

import keras
import numpy as np

from tfcl.layers.masked.unit_gate import UnitGate
from tfcl.models.layer_names import unused_name
from tfcl.models.surgery.rewire import rewire

if typing.TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from numpy.typing import ArrayLike

    from tfcl.types import Shape


# These treat every channel alone or only lay them out, channel fastest.
_PASSIVE = (
    keras.layers.Activation,
    keras.layers.AveragePooling2D,
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.MaxPooling2D,
    keras.layers.ReLU,
    keras.layers.ZeroPadding2D,
)
NEW = -1


class GrowingChain:
    """How a network of hidden layers is built at any widths.

    A unit is an output channel of a convolution or an output of a dense
    layer. Kernels are seen as `(positions, units below, units)`, whatever
    their layer: positions are those of a convolution's window, or of the
    flattened map under a dense layer.

    Args:
        backbone: Functional model, a chain of `Conv2D`, `Dense` and layers
            without weights that keep channels apart; before the first unit,
            any that change no number of channels.
        dense: Further `keras.layers.Dense` on top, not built.

    Attributes:
        names: Names of the hidden layers, input to output.
        widths: Their units in the backbone.
        is_conv: Whether each is a convolution.

    Raises:
        ValueError: If the backbone is no such chain.
    """

    def __init__(self, backbone: keras.Model, dense: Any = ()):
        self._image_shape = backbone.input_shape[1:]
        self._layers = [*_chain(backbone), *dense]
        hidden = [la for la in self._layers if _has_units(la)]
        self.names = [layer.name for layer in hidden]
        taken = {layer.name for layer in self._layers}
        self.gate_names = {
            name: unused_name(f"{name}_units", taken) for name in self.names
        }
        self.is_conv = [
            isinstance(layer, keras.layers.Conv2D) for layer in hidden
        ]
        self.widths = [la.get_config()[_units_key(la)] for la in hidden]

    def model(self, widths: Iterable[int], gated: bool = True) -> keras.Model:
        """A new model with `widths` units in the hidden layers.

        Args:
            widths: One integer per hidden layer.
            gated: Put a `UnitGate` behind each, named as in `gate_names`.
        """
        outputs = inputs = keras.Input(self._image_shape)
        widths = iter(widths)
        for layer in self._layers:
            config = layer.get_config()
            if _has_units(layer):
                config[_units_key(layer)] = next(widths)
            outputs = type(layer).from_config(config)(outputs)
            if gated and _has_units(layer):
                name = self.gate_names[layer.name]
                outputs = UnitGate(name=name)(outputs)
        return keras.Model(inputs, outputs)


def unit_view(kernel: np.ndarray, units_below: int) -> np.ndarray:
    """A kernel as `(positions, units below, units)`; shares its memory."""
    return np.reshape(kernel, (-1, units_below, np.shape(kernel)[-1]))


def entry_mask(
    below: np.ndarray, units: np.ndarray, shape: Shape
) -> np.ndarray:
    """1 at the entries of a kernel between marked units, else 0.

    Args:
        below: Marks of the units below, `(units below,)` of ones and zeros.
        units: Marks of the units.
        shape: Shape of the kernel.
    """
    rows = np.tile(np.asarray(below), shape[-2] // len(below))
    mask = rows[:, None] * np.asarray(units)[None, :]
    return np.broadcast_to(mask, shape).astype(np.float32)


def regrown(
    view: np.ndarray,
    below: ArrayLike,
    units: ArrayLike,
    fresh: np.ndarray,
) -> np.ndarray:
    """A kernel for other units, from an old one.

    Args:
        view: Old kernel, `(positions, old below, old units)`.
        below: For each unit below, the old unit it comes from, or `NEW`.
        units: For each unit, likewise.
        fresh: The new kernel, with values for what is new.

    Returns:
        Array in the shape of `fresh`.
    """
    below, units = np.asarray(below), np.asarray(units)
    known = (below[:, None] != NEW) & (units != NEW)
    taken = view[:, np.maximum(below, 0)][:, :, np.maximum(units, 0)]
    grown = np.where(known, taken, unit_view(fresh, len(below)))
    return grown.reshape(np.shape(fresh))


def _chain(backbone):
    """The layers of a chain in their order."""
    layers = []
    last = []

    def call(layer, *args, **kwargs):
        if len(args) != 1 or (last and args[0] is not last[-1]):
            raise ValueError(
                f"Layer '{layer.name}' takes more than the output of the "
                "layer before it; units can be added to a plain chain only. "
                "Use a backbone without branches."
            )
        if any(layer is known for known in layers if known.weights):
            raise ValueError(
                f"Layer '{layer.name}' is used twice; units can be added to "
                "a plain chain only. Use a backbone without such layers."
            )
        before = not any(map(_has_units, layers)) and _keeps_channels(layer)
        if not (isinstance(layer, _PASSIVE) or _has_units(layer) or before):
            raise ValueError(
                f"Layer '{layer.name}' ({type(layer).__name__}) is no "
                "convolution, dense layer, activation or pooling: it is not "
                "known how it grows. Use a backbone without it."
            )
        if isinstance(layer, keras.layers.Conv2D) and layer.groups != 1:
            raise ValueError(
                f"Layer '{layer.name}' has groups, which units cannot be "
                f"added to. Received: groups={layer.groups}"
            )
        if _has_units(layer) and not layer.use_bias:
            raise ValueError(
                f"Layer '{layer.name}' has no bias, which a new unit would "
                "need. Use a backbone with biases."
            )
        layers.append(layer)
        last.append(layer(*args, **kwargs))
        return last[-1]

    rewire(backbone, call)
    return layers


def _keeps_channels(layer):
    """Whether a layer may stand before all units: it has none of its own."""
    return (
        not layer.weights
        and layer.output.shape[-1] == layer.input.shape[-1]
        and len(layer.output.shape) == len(layer.input.shape)
    )


def _has_units(layer):
    # Not their subclasses: a depthwise convolution counts otherwise.
    return type(layer) in (keras.layers.Conv2D, keras.layers.Dense)


def _units_key(layer):
    return "filters" if isinstance(layer, keras.layers.Conv2D) else "units"
