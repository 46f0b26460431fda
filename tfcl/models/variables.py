"""Variables with a name, and the way to their start value."""

from __future__ import annotations

import dataclasses
import typing

import keras
import numpy as np

from tfcl import randomness

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
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
    """

    name: str
    variable: keras.Variable
    initializer: typing.Callable | None = None
    pristine: np.ndarray | None = None
    derive: typing.Callable | None = None

    @classmethod
    def of(
        cls,
        name: str,
        variable: Any,
        initializer: Any | None = None,
        derive: Any | None = None,
    ) -> Owned:
        """An `Owned`; without initializer it keeps the present value."""
        pristine = None
        if initializer is None:
            pristine = variable.numpy()
        return cls(name, variable, initializer, pristine, derive)

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


def restore(owned: Sequence[Owned], values: Values) -> None:
    """Assigns `{name: array}`; a missing array becomes zeros.

    An array smaller than its variable (a head of fewer classes than the
    widest task) fills the leading block, the rest becomes zeros.

    Raises:
        ValueError: If an array does not fit into its variable.
    """
    for item in owned:
        shape = tuple(item.variable.shape)
        value = values.get(item.name)
        if value is None:
            item.variable.assign(np.zeros(shape, item.variable.dtype))
            continue
        if value.ndim != len(shape) or any(
            v > s for v, s in zip(value.shape, shape)
        ):
            raise ValueError(
                f"Stored value of '{item.name}' has shape {value.shape}, the "
                f"variable {shape}: they belong to different networks."
            )
        if value.shape != shape:
            padded = np.zeros(shape, value.dtype)
            padded[tuple(slice(0, n) for n in value.shape)] = value
            value = padded
        # Half the time of Keras' own way, which checks the shape again.
        item.variable.value.assign(value, read_value=False)
    derive(owned)


def derive(owned: Sequence[Owned]) -> None:
    """To be called when `Owned` variables got values from elsewhere."""
    for item in owned:
        if item.derive is not None:
            item.derive()
