"""Gates behind every hidden layer of a chain."""

from __future__ import annotations

import typing

import keras

from tfcl.layers.masked.hard_attention import HardAttention
from tfcl.models.surgery.rewire import rewire

# These keep units apart, channel fastest, and a factor of a unit passes them.
_PASSIVE = (
    keras.layers.AveragePooling2D,
    keras.layers.Cropping2D,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.MaxPooling2D,
    keras.layers.ReLU,
    keras.layers.ZeroPadding2D,
)


class Attended(typing.NamedTuple):
    """A hidden layer with its gates and those of the layer below.

    Attributes:
        layer: `Conv2D` or `Dense`.
        below: `HardAttention`, None under the first layer.
        gates: `HardAttention`.
    """

    layer: keras.layers.Layer
    below: HardAttention | None
    gates: HardAttention


def attended(backbone: keras.Model, scale: float) -> keras.Model:
    """Puts a `HardAttention` behind every convolution and dense layer.

    Args:
        backbone: Functional or sequential model, a chain of `Conv2D`,
            `Dense`, ReLU, dropout, pooling, cropping and flattening.
        scale: Of the gates, outside of training.

    Returns:
        The model, which shares the backbone's layers, and a list of
        `Attended` from input to output.

    Layers without weights that come before the first of them, such as a
    network's own way to see colours, have no units to protect: they stay.

    Raises:
        ValueError: If the backbone is no such chain, or a convolution has
            groups.
    """
    hidden, last = [], []

    def call(layer, *args, **kwargs):
        if len(args) != 1 or (last and args[0] is not last[-1]):
            raise ValueError(
                f"Layer '{layer.name}' takes more than the output of the "
                "layer before it, so it is not known whose units it uses. Use "
                "a backbone without branches."
            )
        if any(layer is entry.layer for entry in hidden):
            raise ValueError(
                f"Layer '{layer.name}' is used twice, but has one set of "
                "gates. Use a backbone without such layers."
            )
        outputs = layer(*args, **kwargs)
        if type(layer) in (keras.layers.Conv2D, keras.layers.Dense):
            _refuse_groups(layer)
            gates = HardAttention(scale, name=f"{layer.name}_attention")
            below = hidden[-1].gates if hidden else None
            hidden.append(Attended(layer, below, gates))
            outputs = gates(outputs)
        elif not isinstance(layer, _PASSIVE) and (hidden or layer.weights):
            raise ValueError(
                f"Layer '{layer.name}' ({type(layer).__name__}) is no "
                "convolution, dense layer, ReLU, dropout or pooling: gates "
                "cannot protect it. Use a backbone without it."
            )
        last.append(outputs)
        return outputs

    return rewire(backbone, call), hidden


def _refuse_groups(layer):
    if getattr(layer, "groups", 1) != 1:
        raise ValueError(
            f"Layer '{layer.name}' has groups: which units below a weight "
            "belongs to is not known to the gates. Use a backbone without. "
            f"Received: groups={layer.groups}"
        )
