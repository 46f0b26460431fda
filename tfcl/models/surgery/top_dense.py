"""The dense layer that makes a backbone's features, unit by unit."""

from __future__ import annotations

import typing

import keras

from tfcl.models.surgery.rewire import maker

if typing.TYPE_CHECKING:
    from typing import Any


_UNITWISE = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
)
# Of all others one does not know: softmax and its kind mix the units.
_ALONE = (
    None,
    keras.activations.celu,
    keras.activations.elu,
    keras.activations.exponential,
    keras.activations.gelu,
    keras.activations.hard_shrink,
    keras.activations.hard_sigmoid,
    keras.activations.hard_silu,
    keras.activations.hard_tanh,
    keras.activations.leaky_relu,
    keras.activations.linear,
    keras.activations.log_sigmoid,
    keras.activations.mish,
    keras.activations.relu,
    keras.activations.relu6,
    keras.activations.selu,
    keras.activations.sigmoid,
    keras.activations.silu,
    keras.activations.soft_shrink,
    keras.activations.softplus,
    keras.activations.softsign,
    keras.activations.squareplus,
    keras.activations.tanh,
    keras.activations.tanh_shrink,
    keras.activations.threshold,
)


def top_dense(backbone: keras.Model) -> Any:
    """The `Dense` layer whose units are the features, each on its own.

    Behind it there are only functions of single units: activations of Keras
    and dropout. So `d(sum_i s_i f_i)/dW = d(sum_i f_i)/dW * s`,
    column by column, for any s.

    Args:
        backbone: Functional `keras.Model` of one output.

    Returns:
        The layer, or None if the features are made otherwise, or it serves at
        several places.
    """
    tensor = backbone.outputs[0]
    while True:
        layer, inputs = maker(tensor)
        if isinstance(layer, keras.layers.Dense):
            alone = len(layer._inbound_nodes) == 1
            plain = (
                layer.lora_rank is None and layer.activity_regularizer is None
            )
            return layer if alone and plain and _is_unitwise(layer) else None
        if not isinstance(layer, _UNITWISE) or not _is_unitwise(layer):
            return None
        tensor = inputs


def _is_unitwise(layer):
    return getattr(layer, "activation", None) in _ALONE
