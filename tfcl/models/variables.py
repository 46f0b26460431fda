"""Variables with a name, and the way to their start value."""

from __future__ import annotations

import dataclasses
import typing

import keras
import numpy as np

from tfcl import randomness
from tfcl.errors import RunError

if typing.TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    from tfcl.types import Values


@dataclasses.dataclass(frozen=True, eq=False)
class Owned:
    """A variable of a method, with its name in the bank and its first value.

    Args:
        name: Unique inside the method, e.g. `conv_2/task_kernel`.
        variable: The `keras.Variable`.
        initializer: Callable `(shape, dtype)`, or None: the value that the
            variable had when it was listed is its start value.
        derive: Function that brings up to date what a layer derives from the
            variable; None for layers that compute with it directly.
        class_axis: The axis along which the classes of a task lie, whose end
            a task of fewer classes leaves out of the bank. None for all
            variables but those of a head.
    """

    name: str
    variable: keras.Variable
    initializer: typing.Callable | None = None
    pristine: np.ndarray | None = None
    derive: typing.Callable | None = None
    class_axis: int | None = None

    @classmethod
    def of(
        cls,
        name: str,
        variable: Any,
        initializer: Any | None = None,
        derive: Any | None = None,
        class_axis: int | None = None,
    ) -> Owned:
        """An `Owned`; without initializer it keeps the present value."""
        pristine = None
        if initializer is None:
            pristine = variable.numpy()
        return cls(name, variable, initializer, pristine, derive, class_axis)

    def fresh(self, seed: int) -> np.ndarray:
        """The start value drawn with `seed` (an integer)."""
        if self.initializer is None:
            assert self.pristine is not None
            return self.pristine
        if not isinstance(self.initializer, keras.initializers.Initializer):
            # A plain function draws as it likes.
            return self.initializer(
                tuple(self.variable.shape), dtype=self.variable.dtype
            )
        config = self.initializer.get_config()
        if "seed" in config:
            word = int(randomness.seed_words(1, seed, self.name)[0])
            config["seed"] = word
        drawn = type(self.initializer).from_config(config)
        return drawn(tuple(self.variable.shape), dtype=self.variable.dtype)


def statistic(value: Any, name: str, dtype: str = "float32") -> keras.Variable:
    """A variable that every replica computes alike."""
    return keras.Variable(
        np.asarray(value, dtype),
        trainable=False,
        dtype=dtype,
        aggregation="only_first_replica",
        name=name,
    )


def owned_variables(
    model: keras.Model, pretrained: bool = False
) -> list[Owned]:
    """All weights of a model as `Owned`, named `<layer>/<weight>`.

    A layer may list its own by a method `owned_variables()` that returns
    `(weight name, variable, initializer)` triples. Keras layers name an
    initializer `<weight>_initializer`; a weight without one keeps its value.

    Args:
        model: A `keras.Model`.
        pretrained: True makes the present values the start values.

    Returns:
        List of `Owned`, in the model's order.
    """
    result = []
    for layer in leaf_layers(model):
        for name, variable, initializer in _listed(layer):
            if pretrained:
                initializer = None
            name = f"{layer.name}/{name}"
            derive = getattr(layer, "finalize_state", None)
            result.append(Owned.of(name, variable, initializer, derive))
    names = [owned.name for owned in result]
    if len(set(names)) != len(names):
        repeated = sorted({n for n in names if names.count(n) > 1})
        raise ValueError(
            "Layers of a backbone must have different names, but these "
            f"weights come twice: {repeated}"
        )
    return result


def leaf_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers of a model that hold no further layers, each once."""
    layers = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            layers.update((id(inner), inner) for inner in leaf_layers(layer))
        elif not isinstance(layer, keras.layers.InputLayer):
            layers[id(layer)] = layer
    return list(layers.values())


def layer_named(model: keras.Model, name: str) -> keras.layers.Layer:
    """The leaf layer of a name, which may be inside an inner model."""
    return next(la for la in leaf_layers(model) if la.name == name)


def _listed(layer):
    if hasattr(layer, "owned_variables"):
        return layer.owned_variables()
    return [
        (
            # Layers inside a layer have weights of the same name.
            variable.name if count == 0 else f"{variable.name}_{count}",
            variable,
            _initializer(layer, variable.name),
        )
        for count, variable in _numbered(layer.weights)
    ]


def _initializer(layer, weight):
    # Separable convolutions and recurrent layers leave out "_kernel";
    # DepthwiseConv2D calls its kernel's one depthwise.
    names = [weight, weight.removesuffix("_kernel")]
    if weight == "kernel":
        names.append("depthwise")
    for name in names:
        found = getattr(layer, f"{name}_initializer", None)
        if found is not None:
            return found
    return None


def _numbered(variables):
    seen = {}
    for variable in variables:
        count = seen.get(variable.name, 0)
        seen[variable.name] = count + 1
        yield count, variable


def give_weights(layer: keras.layers.Layer, values: Any) -> None:
    """`layer.set_weights(values)` that counts in the next call, too.

    Adapted layers (`keras.layers.Normalization`, as in EfficientNet) compute
    with constants that they derive from their weights.
    """
    layer.set_weights(values)
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()


def redraw(owned: Sequence[Owned], seed: int) -> None:
    """Gives each `Owned` of a list its start value, drawn with `seed`."""
    for item in owned:
        item.variable.assign(item.fresh(seed))
    derive(owned)


def stored(owned: Sequence[Owned]) -> Values:
    """`{name: array}` of the present values."""
    return {item.name: item.variable.numpy() for item in owned}


def restore(
    owned: Sequence[Owned], values: Values, absent: Collection[str] = ()
) -> None:
    """Assigns `{name: array}`: one array for each variable, and no other.

    Nothing is assigned if one does not fit.

    Args:
        owned: List of `Owned`.
        values: `{name: array}`. An array may be shorter than its variable
            along `Owned.class_axis` alone (a head of fewer classes than the
            widest task): the rest becomes zeros.
        absent: Names that may be missing; such a variable becomes zeros.

    Raises:
        RunError: If an array does not fit into its variable, is missing, or
            belongs to none.
    """
    _refuse_other_names(owned, values, absent)
    arrays = [_fitting(item, values.get(item.name)) for item in owned]
    for item, array in zip(owned, arrays):
        # Half the time of Keras' own way, which checks the shape again.
        item.variable.value.assign(array, read_value=False)
    derive(owned)


def _refuse_other_names(owned, values, absent):
    names = [item.name for item in owned]
    missing = [n for n in names if n not in values and n not in absent]
    unknown = sorted(set(values) - set(names))
    if not missing and not unknown:
        return
    found = []
    if missing:
        found.append(f"no values are stored for {_listed_names(missing)}")
    if unknown:
        found.append(
            f"the network has no variables {_listed_names(unknown)}, of which "
            "values are stored"
        )
    raise RunError(
        f"The stored values belong to another network: {', and '.join(found)}. "
        "Open the run with the method and the backbone that it was learned "
        "with, whose layers must bear the same names."
    )


def _listed_names(names):
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(f"'{name}'" for name in names[:4]) + more


def _fitting(item, value):
    """A stored array in the shape of its variable, zeros for None."""
    shape = tuple(item.variable.shape)
    if value is None:
        return np.zeros(shape, item.variable.dtype)
    if value.shape == shape:
        return value
    axis = item.class_axis
    grown = None
    if axis is not None and value.ndim == len(shape):
        grown = list(value.shape)
        grown[axis] = max(grown[axis], shape[axis])
    if grown is None or tuple(grown) != shape:
        raise RunError(
            f"Stored value of '{item.name}' has shape {value.shape}, the "
            f"variable {shape}: they belong to different networks. Open the "
            "run with the method and the backbone that it was learned with."
        )
    padded = np.zeros(shape, value.dtype)
    padded[tuple(slice(0, n) for n in value.shape)] = value
    return padded


def derive(owned: Sequence[Owned]) -> None:
    """To be called when `Owned` variables got values from elsewhere."""
    for item in owned:
        if item.derive is not None:
            item.derive()
