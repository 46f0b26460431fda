"""Plain networks of several tasks, what is equal in them stored once."""

from __future__ import annotations

import json
import typing

import keras
import numpy as np
import tensorflow as tf

from tfcl.models.shared_values import SharedValues

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from tfcl.types import Tensor


class TaskNetworks(tf.Module):
    """Networks that share what is equal: values (`SharedValues`) and graphs.

    Nobody is asked what the networks have in common: it follows from them.

    Args:
        models: Functional `keras.Model`s of one input and one output. Each is
            looked at before the next is asked for, so that they need not be
            in memory together.

    Attributes:
        num_bytes: Bytes of the values that are stored.
        separate_bytes: Bytes of the same networks one by one.
    """

    def __init__(self, models: Iterable[keras.Model]):
        super().__init__()
        self._values = SharedValues()
        self._graphs: dict[str, Any] = {}
        self._networks: list[tuple[Any, list[int]]] = []
        self.separate_bytes = 0
        for model in models:
            key = _graph_key(model)
            if key not in self._graphs:
                self._graphs[key] = _traced(model)
            numbers = []
            for name, value in named_values(model):
                numbers.append(self._values.add(name, value))
                self.separate_bytes += value.nbytes
            self._networks.append((self._graphs[key], numbers))
        self.num_bytes = self._values.num_bytes
        self._values.freeze()

    @property
    def weights(self) -> list[tf.Variable]:
        """The variables, each once."""
        return self._values.variables_once

    @property
    def num_graphs(self) -> int:
        """Different graphs among the networks."""
        return len(self._graphs)

    def __call__(self, number: int, images: Tensor) -> Tensor:
        """Logits `(batch, classes of the task)`; traced.

        Args:
            number: Place of the network in `models`.
            images: Standardised images, float32 `(batch, height, width,
                channels)`.
        """
        graph, numbers = self._networks[number]
        return graph(images, [self._values.read(each) for each in numbers])


def named_values(model: keras.Model) -> Iterator[tuple[str, np.ndarray]]:
    """`(path, array)` of each weight of a model, in their order."""
    for weight in model.weights:
        yield weight.path, weight.numpy()


def bytes_together(models: Iterable[keras.Model]) -> int:
    """Bytes that `TaskNetworks` of these models would store."""
    values = SharedValues()
    for model in models:
        for name, value in named_values(model):
            values.add(name, value)
    return values.num_bytes


def _graph_key(model):
    """Text that is equal for models which differ in values and names alone."""
    config = _nameless(model.get_config(), {})
    shapes = [(tuple(w.shape), str(w.dtype)) for w in model.weights]
    return json.dumps([config, shapes], default=repr, sort_keys=True)


def _nameless(value, numbers):
    """A configuration that calls each layer by its place in its model."""
    if isinstance(value, (list, tuple)):
        return [_nameless(each, numbers) for each in value]
    if not isinstance(value, dict):
        return value
    if "input_layers" in value:
        names = [layer["name"] for layer in value["layers"]]
        numbers = {name: number for number, name in enumerate(names)}
    found = {}
    for key, each in value.items():
        if key in ("input_layers", "output_layers", "keras_history"):
            found[key] = _renamed(each, numbers)
        elif key != "name":
            found[key] = _nameless(each, numbers)
    return found


def _renamed(value, numbers):
    """References to layers, by their numbers."""
    if isinstance(value, (list, tuple)):
        return [_renamed(each, numbers) for each in value]
    return numbers.get(value, value)


def _traced(model):
    """Function from images and weights to logits; it keeps no weight."""
    held = [model]

    def network(images, weights):
        (model,) = held
        pairs = list(zip(model.weights, weights))
        with keras.StatelessScope(pairs):
            return model(images, training=False)

    images = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)
    weights = [
        tf.TensorSpec(w.shape, tf.as_dtype(w.dtype)) for w in model.weights
    ]
    function = tf.function(network, autograph=False)
    traced = function.get_concrete_function(images, weights)
    held.clear()
    return traced
