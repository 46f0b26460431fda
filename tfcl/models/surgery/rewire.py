"""A model's graph once more, with other calls of the same layers."""

from __future__ import annotations

import typing

import keras

from tfcl.models.layer_names import unused_name
from tfcl.models.surgery.lift import require_graphs

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tfcl.types import Tensor


def rewire(
    model: keras.Model,
    call_function: Callable[..., Any],
    outputs: Any | None = None,
    inputs: Any | None = None,
) -> keras.Model:
    """Runs a model's graph again; `call_function` calls each layer.

    The new model has the layers of `model`, hence its variables, and what
    `call_function` adds. Of that, whatever has a name of `model` gets
    another one: Keras counts its names by process, and a loaded model may
    have any.

    Args:
        model: A functional or built sequential model. One that is a layer of
            another may have several inputs and outputs.
        call_function: Function `(layer, *args, **kwargs)` that returns the
            layer's outputs, or what is to stand for them.
        outputs: Optional function from the first output to the new model's.
        inputs: What the graph is run on, in the structure of `model.input`,
            which it may be: then one model can have both runs. None makes a
            new input.

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
    named = _named_apart(model, call_function)
    again = keras.models.clone_model(
        model,
        input_tensors=inputs,
        clone_function=lambda layer: layer,
        call_function=named,
    )
    if outputs is None and max(len(again.inputs), len(again.outputs)) > 1:
        return again
    last = again.outputs[0]
    if outputs is not None:
        last = named.apart(outputs(last), again.inputs)
    return keras.Model(again.inputs[0], last, name=model.name)


class _NamedApart:
    """Calls as `call_function`; what that adds gets names of its own."""

    def __init__(self, model, call_function):
        self.call_function = call_function
        self._known = {id(operation) for operation in _operations(model)}
        self._taken = {operation.name for operation in _operations(model)}

    def __call__(self, layer, *args, **kwargs):
        outputs = self.call_function(layer, *args, **kwargs)
        return self.apart(outputs, (args, kwargs), layer)

    def apart(self, outputs, inputs, replaced=None):
        """Renames what lies between symbolic inputs and outputs.

        What stands in a layer's place may have its name.
        """
        found = list(_between(inputs, outputs))
        kept = {replaced.name} if replaced and replaced not in found else set()
        for operation in found:
            if id(operation) not in self._known:
                self._known.add(id(operation))
                if operation.name not in kept:
                    name = unused_name(operation.name, self._taken)
                    operation.name = name
        return outputs


def _between(inputs, outputs):
    """The operations that make symbolic outputs of symbolic inputs."""
    reached = {id(tensor) for tensor in keras.tree.flatten(inputs)}
    waiting = keras.tree.flatten(outputs)
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in reached or not hasattr(tensor, "_keras_history"):
            continue
        reached.add(id(tensor))
        operation, node, _ = tensor._keras_history
        yield operation
        if operation._inbound_nodes:
            waiting += operation._inbound_nodes[node].input_tensors


def _named_apart(model, call_function):
    if isinstance(call_function, _NamedApart):
        return call_function
    return _NamedApart(model, call_function)


def _operations(model):
    """Of a model and its inner models; layers are some of them."""
    for operation in getattr(model, "operations", model.layers):
        yield operation
        if isinstance(operation, keras.Model):
            yield from _operations(operation)


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
            inner[id(layer)] = rewire(layer, named)
        return inner[id(layer)](*args, **kwargs)

    named = _named_apart(model, call)
    return rewire(model, named)


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
