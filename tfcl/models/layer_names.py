"""Names of layers that do not depend on what the process named before.

Stored values and start values go by the names of layers. Keras names a layer
that has no name of its own by its class and a number, which counts all layers
of the class in the process: the same backbone would have other variables in
another process.
"""

from __future__ import annotations

import collections
import gc
import re
import typing

import keras
from keras.src.backend.common import global_state

from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


_NUMBERED = re.compile(r"(.+?)(?:_(\d+))?")


def with_own_names(make: Callable[..., Any], **options) -> Any:
    """A backbone whose layers have the names of a clean process.

    Layers that Keras names while `make` runs are numbered from where it
    began. Layers that were there before and look as if Keras had named them
    are numbered in their order in the model. Names that a user or a file has
    given stay.

    Args:
        make: Function to a `keras.Model`.
        **options: Its arguments.

    Returns:
        What `make` returns, its layers renamed in place.
    """
    there = {id(layer): layer for layer in _living_layers()}
    before = dict(_counts())
    model = make(**options)
    if not isinstance(model, keras.Model):
        return model
    after = _counts()
    older = []
    for layer in leaf_layers(model):
        base, number = _parts(layer.name)
        if base != _automatic(layer):
            continue
        first = before.get(base, 0)
        if first <= number < after.get(base, 0) and id(layer) not in there:
            layer.name = _joined(base, number - first)
        elif id(layer) in there:
            older.append(layer)
    _number_in_order(model, older)
    return model


def _number_in_order(model, older):
    """Gives layers that came ready-made the first names that are unused."""
    chosen = {id(layer) for layer in older}
    taken = {la.name for la in leaf_layers(model) if id(la) not in chosen}
    numbers = collections.defaultdict(int)
    for layer in older:
        base = _automatic(layer)
        while (name := _joined(base, numbers[base])) in taken:
            numbers[base] += 1
        numbers[base] += 1
        layer.name = name


def _living_layers():
    # By the type alone: some objects do things when asked for their class.
    return [
        found
        for found in gc.get_objects()
        if issubclass(type(found), keras.layers.Layer)
    ]


def _counts():
    """`{base: how many names Keras has made of it}`."""
    return global_state.get_global_attribute("object_name_uids", default={})


def _automatic(layer):
    """What Keras calls layers of this class, without a number."""
    name = re.sub(r"\W+", "", type(layer).__name__)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _parts(name):
    base, number = _NUMBERED.fullmatch(name).groups()
    return base, int(number or 0)


def _joined(base, number):
    return f"{base}_{number}" if number else base
