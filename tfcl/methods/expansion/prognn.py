"""Progressive neural networks: a new column per task, the old ones frozen."""

from __future__ import annotations

import typing

import gin
import keras
import numpy as np
from absl import logging

from tfcl.arguments import PositiveFloat, checked, require
from tfcl.layers.transfer.lateral_conv2d import LateralConv2D
from tfcl.methods.base import trainable
from tfcl.methods.network_method import NetworkMethod
from tfcl.methods.protocols import SupportsGrowth
from tfcl.models.network import TaskNetwork
from tfcl.models.surgery.lift import lift
from tfcl.models.surgery.rewire import inlined, rewire
from tfcl.models.surgery.selective import convolutions
from tfcl.models.variables import (
    layer_named,
    leaf_layers,
    owned_variables,
    restore,
    stored,
)

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.task_training import TaskTraining
    from tfcl.models.variables import Owned
    from tfcl.types import Structure, Values


@gin.configurable
class ProgNN(NetworkMethod, SupportsGrowth):
    """A network per task that also hears the frozen networks before it.

    Every convolution but the first of column t gets lateral inputs from the
    columns 0..t-1 (`LateralConv2D`). A finished column never changes, so
    nothing is forgotten; the network grows with every task.

    A task seen again trains its head only: its column serves later ones.

    Args:
        training: `TaskTraining`.
        dim_reduction_scale: Divides the width of the adapters,
            `n = in / (scale * (earlier columns + 1))` channels.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Note:
        The reference lets n become 0 for many tasks; here it is at least 1.

    Reference:
        Rusu et al., "Progressive Neural Networks", arXiv:1606.04671; widths
        as in the baselines of Lee, Behpour, Eaton, ICML 2021.
    """

    of_the_task = "the column and the head"

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        dim_reduction_scale: PositiveFloat = 1.0,
        **options: Any,
    ):
        super().__init__(training, **options)
        self.dim_reduction_scale = dim_reduction_scale
        self._columns = []  # The last one may still be in training.
        self._finished = 0
        self._networks: dict[int, TaskNetwork] = {}
        self._active = -1  # Number of the column that serves; none yet.

    def setup(self, spec: StreamSpec, seed: int) -> None:
        self.spec, self.seed = spec, seed
        # Columns hear each other layer by layer.
        self._backbone = inlined(self.training.backbone(spec))
        _require_plain(self._backbone)
        frozen = lift(self._backbone, {})
        for layer in leaf_layers(frozen):
            layer.trainable = False
        self.require_still(frozen, frozen.weights)
        self._head = self.make_head(spec)
        logging.info(
            "%s: every task has a column of its own, %d weights of backbone "
            "'%s' and what hears the columns before it, and its head.",
            self.name,
            self._backbone.count_params(),
            self._backbone.name,
        )

    @property
    def random_state(self) -> list[keras.Variable]:
        return [v for column in self._columns for v in column.random_state]

    def divide(self, network: TaskNetwork) -> None:
        """Columns are divided as they come: `begin_task`, `_finish`."""

    # Columns

    def _add_column(self):
        """Builds the next column and makes it the active one."""
        number = len(self._columns)
        column = _Column(self._backbone, number, self._adapter_units)
        self._columns.append(column)
        self.state = self.random_state
        self._activate(number)

    def _adapter_units(self, channels, number):
        """Channels of an adapter into column `number`."""
        scale = self.dim_reduction_scale * (number + 1)
        return max(int(channels / scale), 1)

    def _activate(self, number):
        if number not in self._networks:
            backbone = _progressive(self._backbone, self._columns[: number + 1])
            self._networks[number] = TaskNetwork(backbone, self._head)
        self._network = self._networks[number]
        self._active = number

    def _column_variables(self, number):
        """The `Owned` variables of a column."""
        backbone = self._networks[number].backbone
        own = self._columns[number].weight_ids
        listed = owned_variables(backbone)
        if self.training.pretrained:
            known = owned_variables(backbone, pretrained=True)
            # Nobody has pretrained the adapters.
            listed = [
                drawn if "/lateral_" in drawn.name else kept
                for drawn, kept in zip(listed, known)
            ]
        return [owned for owned in listed if id(owned.variable) in own]

    def _finish(self):
        """Freezes the newest column; only the head stays in the slot."""
        number = len(self._columns) - 1
        self.shared = self.shared + self._column_variables(number)
        self.slot = self._network.head_variables
        self._columns[number].freeze()
        self._finished = len(self._columns)

    def structure(self) -> Structure:
        return {"columns": self._finished}

    def grow_to(self, structure: Structure) -> None:
        while self._finished < structure["columns"]:
            self._add_column()
            self._finish()

    def graph(self) -> int:
        return self._active

    # One task

    def begin_task(self, task: Task) -> None:
        self._add_column()
        self._train(
            [
                *self._column_variables(self._active),
                *self._network.head_variables,
            ]
        )
        super().begin_task(task)

    def resume_task(self, task: Task, values: Values) -> None:
        super().resume_task(task, values)
        self._train(self._network.head_variables)

    def _train(self, slot):
        self.slot = slot
        self._trained = trainable(slot)
        self.build_optimizer(
            "main", self.training.make_optimizer(), self._trained
        )

    def end_task(self, task: Task) -> None:
        if len(self._columns) > self._finished:
            self._finish()

    # Bank: a column belongs to all later tasks, so only the head is banked.

    def bank_values(self) -> Values:
        values = self.head.trimmed(stored(self._network.head_variables))
        return {**values, "column": np.array(self._active, np.int32)}

    def bank_notes(self) -> dict[str, Any]:
        # A network of one convolution has no layer that hears others.
        layers = self._columns[self._active].layers.values()
        heard = [la.columns for la in layers if isinstance(la, LateralConv2D)]
        return {"columns_heard": max(heard, default=0)}

    def activate(self, values: Values, task_index: int) -> None:
        values = dict(values)
        self._activate(int(values.pop("column")))
        restore(self._network.head_variables, values, self.left_out(values))
        self.head.use_columns(values[f"{self.head.name}/columns"])

    def read_variables(self) -> list[Owned]:
        read = {id(v) for v in self._network.backbone.weights}
        return [v for v in self.shared if id(v.variable) in read]


def _require_plain(backbone):
    """Refuses what could not hear other columns, before the first one."""
    found = convolutions(backbone)
    if not found:
        raise ValueError(
            f"Backbone '{backbone.name}' has no layer of type Conv2D, through "
            "which later columns hear earlier ones. Choose a convolutional "
            "backbone."
        )
    heard = found[1:]
    wrong = [
        f"{la.name}: groups={la.groups}, data_format={la.data_format}"
        for la in leaf_layers(backbone)
        if la.name in heard
        and (la.groups != 1 or la.data_format != "channels_last")
    ]
    require(
        not wrong,
        "TaskTraining.backbone",
        "must have convolutions of channels last and without groups, the "
        "first one apart: later columns hear earlier ones through them",
        wrong,
    )


class _Column:
    """The layers of one column, by the names of the backbone's layers."""

    def __init__(self, backbone, number, adapter_units):
        first, *others = convolutions(backbone)
        del first  # Hears the image itself, like every column's.
        self.layers = {}
        for layer in leaf_layers(backbone):
            config = layer.get_config()
            config["name"] = f"column_{number}_{layer.name}"
            if number and layer.name in others:
                channels = layer.kernel.shape[2]
                clone = LateralConv2D(
                    **config,
                    columns=number,
                    lateral_units=adapter_units(channels, number),
                )
            else:
                clone = type(layer).from_config(config)
            self.layers[layer.name] = clone
        self._backbone = backbone

    def call(self, plain, inputs, heard, kwargs):
        """Output of a layer, which takes the backbone's weights at first."""
        name = plain.name
        if name not in self.layers:
            return plain(*inputs, **kwargs)  # A bare operation, as in a + b.
        layer = self.layers[name]
        built = layer.built
        lateral = isinstance(layer, LateralConv2D)
        args = ([*inputs, *heard],) if lateral else inputs
        outputs = layer(*args, **kwargs)
        if not built and layer.weights:
            known = layer_named(self._backbone, name).get_weights()
            for variable, value in zip(layer.weights, known):
                variable.assign(value)
        return outputs

    @property
    def weight_ids(self):
        return {id(w) for la in self.layers.values() for w in la.weights}

    @property
    def random_state(self):
        """Seeds of random layers."""
        own = self.weight_ids
        variables = [v for la in self.layers.values() for v in la.variables]
        return [v for v in variables if id(v) not in own]

    def freeze(self):
        """Weights and statistics stay as they are from now on."""
        for layer in self.layers.values():
            layer.trainable = False


def _progressive(backbone, columns):
    """The last column's features, as a functional model of all columns.

    The backbone is walked once; at each layer every column computes its own
    output from what it and its predecessors have at that place.
    """
    places = {}  # What each column has where the last one has a tensor.

    def at(value, number):
        if not isinstance(value, keras.KerasTensor):
            return value
        return places.get(id(value), [value] * len(columns))[number]

    def call(layer, *args, **kwargs):
        outputs = []
        for number, column in enumerate(columns):
            inputs, options = keras.tree.map_structure(
                lambda a, n=number: at(a, n), (list(args), kwargs)
            )
            heard = [at(args[0], j) for j in range(number)]
            outputs.append(column.call(layer, inputs, heard, options))
        places[id(outputs[-1])] = outputs
        return outputs[-1]

    return rewire(backbone, call)
