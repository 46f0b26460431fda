"""Puts a gate behind every convolution of a backbone."""

from __future__ import annotations

import typing

import keras

from tfcl.models.surgery.rewire import rewire
from tfcl.models.surgery.selective import require_bare_convolutions
from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


# A gate waits behind these: it is to multiply what the convolution's block
# hands on.
_SAME_BLOCK = (
    keras.layers.Activation,
    keras.layers.AveragePooling2D,
    keras.layers.BatchNormalization,
    keras.layers.MaxPooling2D,
    keras.layers.ReLU,
)


def gated(model: keras.Model, make_gate: Callable[..., Any]) -> keras.Model:
    """A model whose convolutions' outputs are multiplied by gates.

    A gate sees the input of its convolution and multiplies after the
    normalisation, activation and pooling that follow it.

    Args:
        model: A functional or built sequential model.
        make_gate: Function from a `keras.layers.Conv2D` to a layer
            `(batch, height, width, channels)` to `(batch, 1, 1, filters)`.

    Returns:
        A functional model with the layers of `model` and the gates.

    Raises:
        ValueError: If the model has no convolution, or one that is used
            twice, is wrapped in another layer, sits in an inner model or has
            its channels first.
    """
    require_bare_convolutions(model, "gated")
    convs = [la for la in leaf_layers(model) if _is_conv(la)]
    if not convs:
        raise ValueError(
            f"Backbone '{model.name}' has no convolution (Conv2D) whose "
            "channels a gate could weigh. Choose a convolutional backbone."
        )
    for conv in convs:
        _require_gateable(model, conv)
    gating = _Gating(make_gate)
    return rewire(model, gating, gating.opened)


def _is_conv(layer):
    return isinstance(layer, keras.layers.Conv2D)


def _require_gateable(model, conv):
    if all(conv is not layer for layer in model.layers):
        raise ValueError(
            f"Convolution '{conv.name}' sits in an inner model, whose layers "
            "cannot be gated. Build the backbone from single layers: call the "
            "inner model's layers one by one."
        )
    if conv.data_format != "channels_last":
        raise ValueError(
            f"Convolution '{conv.name}' must have data_format="
            "'channels_last', as the gates have. "
            f"Received: data_format={conv.data_format!r}"
        )


class _Gating:
    """Calls each layer of the clone; notes which gate a tensor waits for."""

    def __init__(self, make_gate):
        self._make_gate = make_gate
        self._waiting = {}
        self._opened = {}
        self._called = []
        self._kept = []

    def __call__(self, layer, *args, **kwargs):
        if _is_conv(layer):
            return self._convolve(layer, *args, **kwargs)
        tensors = [
            a for a in keras.tree.flatten((args, kwargs)) if _is_tensor(a)
        ]
        if len(tensors) == 1 and isinstance(layer, _SAME_BLOCK):
            gates = self._waiting.get(id(tensors[0]))
            return self._note(layer(*args, **kwargs), gates)
        args, kwargs = keras.tree.map_structure(
            lambda a: self.opened(a) if _is_tensor(a) else a, (args, kwargs)
        )
        return layer(*args, **kwargs)

    def _convolve(self, conv, inputs):
        if conv in self._called:
            raise ValueError(
                f"Convolution '{conv.name}' is used twice, but has one gate. "
                "Use a backbone without such layers."
            )
        self._called.append(conv)
        inputs = self.opened(inputs)
        return self._note(conv(inputs), self._make_gate(conv)(inputs))

    def opened(self, tensor):
        """The tensor times the gates it waits for, if it does."""
        gates = self._waiting.get(id(tensor))
        if gates is None:
            return tensor
        if id(tensor) not in self._opened:
            product = keras.layers.Multiply()([tensor, gates])
            self._opened[id(tensor)] = product
        return self._opened[id(tensor)]

    def _note(self, tensor, gates):
        if gates is not None:
            self._waiting[id(tensor)] = gates
            self._kept.append(tensor)  # so that the id is not used again
        return tensor


def _is_tensor(value):
    return isinstance(value, keras.KerasTensor)
