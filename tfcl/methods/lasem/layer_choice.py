"""Which layers the task in hand shares, and the way back."""

from __future__ import annotations

import typing

import numpy as np

from tfcl.models.surgery.prefix_tree import configuration_name
from tfcl.models.variables import statistic

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    import keras

    from tfcl.models.variables import Owned
    from tfcl.types import Values


class LayerChoice:
    """The choice of a searching method: shared or task-specific per layer.

    While a task trains, both kinds of weights of a layer learn. When the
    choice is made, the shared weights of a layer that is not shared return to
    their values from before the task; if no task has shared it yet, the next
    task draws them anew.

    Args:
        layers: `SelectiveConv2D`s with `sharing="chosen"`, input to output.
        shared: The method's shared `Owned` variables.

    Attributes:
        state: Variables that a checkpoint must hold.
        before: Copies of the shared variables, in their order.
        defined: 1 per layer that some task has shared.
    """

    def __init__(self, layers: Sequence[Any], shared: Sequence[Owned]):
        self.layers = layers
        self._shared = shared
        self.before = [
            statistic(owned.variable.numpy(), "before") for owned in shared
        ]
        self.defined = statistic(np.zeros(len(layers)), "defined")
        self.state = [self.defined, *self.before]

    def begin_task(self, redraw: Callable[..., None]) -> None:
        """Draws what no task has shared, keeps copies of all.

        Args:
            redraw: Function from a list of `Owned`, which it draws afresh.
        """
        for layer, defined in zip(self.layers, self.defined.numpy() > 0.5):
            if not defined:
                redraw(self.shared_of(layer))
        for before, owned in zip(self.before, self._shared):
            before.assign(owned.variable)

    def restore(self) -> None:
        """Gives all shared variables their values from before the task."""
        for before, owned in zip(self.before, self._shared):
            owned.variable.assign(before)

    def select(self, sharing: Sequence[bool] | np.ndarray) -> None:
        """Makes `sharing`, a boolean per layer, the active configuration."""
        for layer, shared in zip(self.layers, sharing):
            layer.selection.assign(float(shared))

    def settle(self, sharing: Sequence[bool] | np.ndarray) -> None:
        """The final choice: rolls back the layers that are not shared."""
        self.select(sharing)
        before = {
            id(owned.variable): copy
            for owned, copy in zip(self._shared, self.before)
        }
        defined = self.defined.numpy()
        for depth, (layer, kept) in enumerate(zip(self.layers, sharing)):
            if kept:
                defined[depth] = 1.0
                continue
            for variable in layer.shared_variables:
                variable.assign(before[id(variable)])
        self.defined.assign(defined)

    @property
    def sharing(self) -> list[bool]:
        """The active configuration: a boolean per layer, True = shared."""
        return [layer.selection.numpy() > 0.5 for layer in self.layers]

    @property
    def name(self) -> str:
        """The active configuration as digits, 1 = shared."""
        return configuration_name(self.sharing)

    def shared_of(self, layer: keras.layers.Layer) -> list[Owned]:
        """The shared `Owned` variables of a layer."""
        own = {id(variable) for variable in layer.shared_variables}
        return [v for v in self._shared if id(v.variable) in own]

    def read_variables(self) -> list[Owned]:
        """The shared `Owned` variables that the configuration uses."""
        return [
            owned
            for layer, shared in zip(self.layers, self.sharing)
            if shared
            for owned in self.shared_of(layer)
        ]

    def without_unused(self, values: Values) -> Values:
        """Bank values without what the configuration does not use."""
        values = dict(values)
        for name in self._unused(self.sharing):
            del values[name]
        return values

    def left_out(self, values: Values) -> list[str]:
        """Names that `without_unused` has taken out of bank values."""
        return self._unused(
            [
                values.get(f"{layer.name}/{layer.selection.name}", 0.0) > 0.5
                for layer in self.layers
            ]
        )

    def _unused(self, sharing):
        """Names of what a configuration does not use."""
        return [
            f"{layer.name}/{variable.name}"
            for layer, shared in zip(self.layers, sharing)
            for variable in (
                layer.own_variables if shared else layer.transfer_variables
            )
        ]
