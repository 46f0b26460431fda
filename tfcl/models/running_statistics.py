"""Batch norms that are called in training and learn nothing from it."""

from __future__ import annotations

import contextlib
import typing

import keras

from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from typing import Any


@contextlib.contextmanager
def running_statistics(model: keras.Model) -> Any:
    """Batch norm inside uses, and leaves, its running statistics."""
    layers = [
        layer
        for layer in leaf_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization)
        and layer.trainable
    ]
    for layer in layers:
        layer.trainable = False
    try:
        yield
    finally:
        for layer in layers:
            layer.trainable = True
