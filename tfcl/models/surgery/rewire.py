"""A model's graph once more, with other calls of the same layers."""

from __future__ import annotations

import typing

import keras

from tfcl.models.surgery.lift import require_graphs

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tfcl.types import Tensor


def rewire(
    model: keras.Model,
    call_function: Callable[..., Any],
    outputs: Any | None = None,
) -> keras.Model:
    """Runs a model's graph again; `call_function` calls each layer.

    The new model has the layers of `model`, hence its variables, and what
    `call_function` adds.

    Args:
        model: A functional or built sequential model. One that is a layer of
            another may have several inputs and outputs.
        call_function: Function `(layer, *args, **kwargs)` that returns the
            layer's outputs, or what is to stand for them.
        outputs: Optional function from the first output to the new model's.

    Returns:
        A functional model.

    Raises:
        ValueError: If the model is of another kind.
    """
    if isinstance(model, keras.Sequential) and model.built:
        # Keras lets nobody else call a sequential model's layers.
        model = keras.Model(model.inputs, model.outputs, name=model.name)
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"Model '{model.name}' ({type(model).__name__}) has no "
            "graph of layers that could be changed. Make it by keras.Model("
            "inputs, outputs) or keras.Sequential with an Input."
        )
    again = keras.models.clone_model(
        model,
        clone_function=lambda layer: layer,
        call_function=call_function,
    )
    if outputs is None and max(len(again.inputs), len(again.outputs)) > 1:
        return again
    last = again.outputs[0]
    if outputs is not None:
        last = outputs(last)
    return keras.Model(again.inputs[0], last, name=model.name)


def with_arguments(
    model: keras.Model, layer_type: type, **arguments
) -> keras.Model:
    """A model's graph once more, with other arguments for some layers.

    Another forward function of the same layers and variables; the model's own
    stays as it is. Inner models are gone through.

    Args:
        model: As of `rewire`.
        layer_type: Layers that get them.
        **arguments: Of their `call`.

    Returns:
        A functional model.
    """

    def call(layer, *args, **kwargs):
        if isinstance(layer, layer_type):
            kwargs = {**kwargs, **arguments}
        return layer(*args, **kwargs)

    return rewire_throughout(model, call)


def rewire_throughout(
    model: keras.Model, call_function: Callable[..., Any]
) -> keras.Model:
    """`rewire` that goes through inner models, too.

    Args:
        model: As of `rewire`.
        call_function: As of `rewire`; gets no inner model, but its layers.

    Returns:
        A functional model.
    """
    inner = {}

    def call(layer, *args, **kwargs):
        if not isinstance(layer, keras.Model):
            return call_function(layer, *args, **kwargs)
        # One that is used twice is gone through once.
        if id(layer) not in inner:
            inner[id(layer)] = rewire(layer, call)
        return inner[id(layer)](*args, **kwargs)

    return rewire(model, call)


def inlined(model: keras.Model) -> keras.Model:
    """A model's graph with the layers of inner models in their place.

    Args:
        model: As of `rewire`.

    Returns:
        A functional model of the same layers without inner models; `model`
        itself if there are none.

    Raises:
        ValueError: If an inner model is no graph of layers.
    """

    def call(layer, *args, **kwargs):
        if not isinstance(layer, keras.Model):
            return layer(*args, **kwargs)
        if isinstance(layer, keras.Sequential):
            layer = keras.Model(layer.inputs, layer.outputs)
        # Its `call` would put a conversion before the first layer. Keras 3.12,
        # the last for Python 3.10, has no default for the function.
        return layer._run_through_graph(args, lambda operation: operation)

    require_graphs(model)
    while any(isinstance(layer, keras.Model) for layer in model.layers):
        model = rewire(model, call)
    return model


def maker(tensor: Tensor) -> tuple[keras.layers.Layer, Tensor | None]:
    """The layer that gives a tensor of a model, and what went into it.

    Returns:
        The layer, and the first tensor of its call; None for a model's input.
    """
    layer, node, _ = tensor._keras_history
    inputs = layer._inbound_nodes[node].input_tensors
    return layer, inputs[0] if inputs else None


def layer_names(model: keras.Model) -> set[str]:
    """Names of all layers of a model, also of those inside inner models."""
    names = set()
    for layer in model.layers:
        names.add(layer.name)
        if isinstance(layer, keras.Model):
            names |= layer_names(layer)
    return names


def unused_name(wanted: str, taken: set[str]) -> str:
    """A name that no layer has: `wanted`, or that with a number behind it.

    Args:
        wanted: Text.
        taken: Set of names; the new one is added.
    """
    name, number = wanted, 0
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name
