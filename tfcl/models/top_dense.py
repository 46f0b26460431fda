"""The dense layer that makes a trunk's features, unit by unit."""

import keras

_UNITWISE = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
)
# Of softmax and its kind, a unit's value depends on the others.
_TOGETHER = ("softmax", "log_softmax", "sparsemax", "glu")


def top_dense(trunk):
    """The `Dense` layer whose units are the features, each on its own.

    Behind it there is nothing but what acts on every unit alone: activations
    and dropout. So `d(sum_i s_i f_i)/dW = d(sum_i f_i)/dW * s`, column by
    column, for any s.

    Args:
        trunk: Functional `keras.Model` of one output.

    Returns:
        The layer, or None if the features are made otherwise, or it serves at
        several places.
    """
    tensor = trunk.outputs[0]
    while True:
        layer, node, _ = tensor._keras_history
        place = layer._inbound_nodes[node]
        if isinstance(layer, keras.layers.Dense):
            alone = len(layer._inbound_nodes) == 1
            plain = (
                layer.lora_rank is None and layer.activity_regularizer is None
            )
            return layer if alone and plain and _is_unitwise(layer) else None
        if not isinstance(layer, _UNITWISE) or not _is_unitwise(layer):
            return None
        tensor = place.input_tensors[0]


def _is_unitwise(layer):
    activation = getattr(layer, "activation", None)
    return getattr(activation, "__name__", None) not in _TOGETHER
