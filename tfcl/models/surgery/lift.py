"""Puts a method's layers in place of a backbone's, and takes them out."""

from __future__ import annotations

import typing

import keras

from tfcl.models.variables import give_weights

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def lift(
    backbone: keras.Model, rules: Mapping[type, Callable[..., Any]]
) -> keras.Model:
    """Clones a model with some layers replaced, weights carried over.

    Args:
        backbone: A functional or sequential `keras.Model`, built.
        rules: `{layer type: factory}`; the factory gets the old layer and
            returns the new one, which takes over the old weights by its
            method `adopt(old_layer)`. The first matching type counts. A
            factory may return None to keep a layer as it is.

    Returns:
        A model that computes what `backbone` computed.

    Raises:
        ValueError: If the backbone is not functional, or no layer matched.
    """
    if not isinstance(backbone, (keras.Sequential, keras.Model)) or not (
        hasattr(backbone, "inputs") and backbone.inputs
    ):
        raise ValueError(
            "Argument `backbone` must be a functional or a built sequential "
            f"Keras model. Received: {type(backbone).__name__}"
        )
    require_graphs(backbone)
    pairs = []

    def clone(layer):
        new = None
        for layer_type, factory in rules.items():
            if isinstance(layer, layer_type):
                new = factory(layer)
                break
        lifted = new is not None
        if not lifted:
            new = type(layer).from_config(layer.get_config())
        pairs.append((layer, new, lifted))
        return new

    model = keras.models.clone_model(
        backbone, clone_function=clone, recursive=True
    )
    if rules and not any(lifted for _, _, lifted in pairs):
        wanted = sorted(layer_type.__name__ for layer_type in rules)
        raise ValueError(
            f"Backbone '{backbone.name}' has no layer of type "
            f"{' or '.join(wanted)}: the method has nothing to work on. "
            "Choose a convolutional backbone."
        )
    for old, new, lifted in pairs:
        if lifted:
            new.adopt(old)
        elif getattr(old, "weights", None):  # bare operations have none
            give_weights(new, old.get_weights())
    return model


def require_graphs(model: keras.Model) -> None:
    """Refuses inner models that are no graphs of layers.

    Such a model cannot be copied, so that no task could be exported.

    Raises:
        ValueError: With the model.
    """
    for layer in model.layers:
        if not isinstance(layer, keras.Model):
            continue
        if not getattr(layer, "inputs", None):
            raise ValueError(
                f"Inner model '{layer.name}' ({type(layer).__name__}) of "
                f"'{model.name}' has no graph of layers, without which its "
                "tasks cannot be exported. Make it by keras.Model(inputs, "
                "outputs) or keras.Sequential with an Input, or derive it "
                "from keras.layers.Layer."
            )
        require_graphs(layer)


def lower(model: keras.Model, compact: bool = False) -> keras.Model:
    """The plain Keras model of the active task.

    Every layer with a method `lower()` gives its plain layer and weights;
    all others are copied. The result holds just what the task needs.

    Args:
        model: A functional or sequential model.
        compact: Copies, too, the layers that make their kernel out of fewer
            numbers (`generates_kernel`): what tasks share in them is no part
            of the kernel any more.
    """
    pairs = []

    def clone(layer):
        whole = compact and getattr(layer, "generates_kernel", False)
        if hasattr(layer, "lower") and not whole:
            new, weights = layer.lower()
        else:
            new = type(layer).from_config(layer.get_config())
            # Bare operations (a + b) have no weights.
            weights = [w.numpy() for w in getattr(layer, "weights", ())]
        pairs.append((new, weights))
        return new

    plain = keras.models.clone_model(
        model, clone_function=clone, recursive=True
    )
    for new, weights in pairs:
        if weights:
            give_weights(new, weights)
    return plain
