"""Names of layers that do not depend on what the process named before.

Stored values and start values go by the names of layers. Keras names a layer
that has no name of its own by its class and a number, which counts all layers
of the class in the process: the same backbone would have other variables in
another process.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import inspect
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
    given stay, except that the second layer of a name, in another inner
    model, gets a number. Not for several threads at a time.

    Args:
        make: Function to a `keras.Model`.
        **options: Its arguments.

    Returns:
        What `make` returns, its layers renamed in place.
    """
    before = dict(_counts())
    with _noted() as made:
        model = make(**options)
    if not isinstance(model, keras.Model):
        return model
    by_keras = {id(layer): is_named for layer, is_named in made}
    older = []
    for layer in leaf_layers(model):
        base, number = _parts(layer.name)
        if base != _automatic(layer):
            continue
        if id(layer) not in by_keras:
            older.append(layer)
        elif by_keras[id(layer)] and number >= before.get(base, 0):
            layer.name = _joined(base, number - before.get(base, 0))
    _number_in_order(model, older)
    _part(leaf_layers(model))
    return model


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


@contextlib.contextmanager
def _noted():
    """Notes the layers that are made within the context.

    Yields:
        A list of pairs, to be filled: the layer, kept for its id, and whether
        Keras names it.
    """
    kind, made = keras.layers.Layer, []
    initialize = kind.__init__

    @functools.wraps(initialize)
    def noting(self, *args, **kwargs):
        made.append((self, kwargs.get("name") is None))
        initialize(self, *args, **kwargs)

    # Keras asks for the arguments of layers that have no `__init__`.
    noting.__signature__ = inspect.signature(initialize)
    kind.__init__ = noting
    try:
        yield made
    finally:
        kind.__init__ = initialize


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


def _part(layers):
    """Gives layers of equal names, of different inner models, numbers."""
    taken = {layer.name for layer in layers}
    seen = set()
    for layer in layers:
        if layer.name in seen:
            layer.name = unused_name(layer.name, taken)
        seen.add(layer.name)


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
