"""A network whose hidden layers gain units between and inside tasks."""

from __future__ import annotations

import typing

import keras
import numpy as np

from tfcl.methods.network_method import NetworkMethod
from tfcl.methods.protocols import SupportsGrowth
from tfcl.methods.shared_weights import say_shared
from tfcl.models.network import TaskNetwork
from tfcl.models.surgery.growing_chain import GrowingChain, regrown, unit_view
from tfcl.models.variables import statistic

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.data.task import StreamSpec, Task
    from tfcl.types import Structure, Values


class GrowingNetwork(NetworkMethod, SupportsGrowth):
    """Hidden layers shared by all tasks, which may be given more units.

    Every growth builds network and optimizers anew, with the old weights at
    their places. A task uses the units that existed when it was learned
    (`UnitGate`); its output layer is its own.

    A subclass says which optimizers there are, and gives the rule.

    Attributes:
        chain: `GrowingChain`.
        widths: Units of each hidden layer now.
        gates: The `UnitGate` of each.
        kernels, biases: Variables of the hidden layers, input to output.
        before: Copies of kernels and biases, in their order, as `remember`
            found them; 0 where units are newer.
        old_widths: Widths when `remember` was called.
    """

    of_the_task = "the units and the head"

    def setup(self, spec: StreamSpec, seed: int) -> None:
        self.spec, self.seed = spec, seed
        backbone = self.training.backbone(spec)
        _, hidden = self.training.head_and_hidden_layers(spec.max_classes)
        self.chain = GrowingChain(backbone, hidden)
        self._builds = 0
        # Number of the task, and of its next growth.
        self._draws: tuple[int, ...] = ()
        self._build(self.chain.widths)
        self.old_widths = list(self.widths)
        say_shared(self.name, self._network.backbone, self.slot)
        self.redraw(self.shared, "shared")
        if self.training.pretrained:
            for name in self.chain.names[: -len(hidden) or None]:
                layer = self._network.backbone.get_layer(name)
                layer.set_weights(backbone.get_layer(name).get_weights())

    def divide(self, network: TaskNetwork) -> None:
        self.gates = [
            network.backbone.get_layer(name)
            for name in self.chain.gate_names.values()
        ]
        gates = {id(gate.open) for gate in self.gates}
        listed = network.backbone_variables
        own = [v for v in listed if id(v.variable) in gates]
        self.shared = [v for v in listed if id(v.variable) not in gates]
        self.slot = own + network.head_variables

    def make_optimizers(self) -> None:
        """Builds the optimizers on `self._trained`, after every growth."""
        self.build_optimizer(
            "main", self.training.make_optimizer(), self._trained
        )

    def make_state(self) -> list[keras.Variable]:
        """Further variables of a subclass, after every growth: a list."""
        return []

    def _build(self, widths):
        """Builds everything at `widths`; values are as initializers like."""
        head, _ = self.training.head_and_hidden_layers(self.spec.max_classes)
        backbone = self.chain.model(widths)
        self._network = _StampedNetwork(self.chain, backbone, head)
        self.widths = list(widths)
        self.divide(self._network)
        layers = [backbone.get_layer(name) for name in self.chain.names]
        self.kernels = [layer.kernel for layer in layers]
        self.biases = [layer.bias for layer in layers]
        # Gates are not trained.
        self._trained = [
            v for v in self.shared + self.slot if v.variable.trainable
        ]
        self.before = [
            statistic(np.zeros(v.shape), "before")
            for v in self.kernels + self.biases
        ]
        self.state = [*self.random_state, *self.before]
        self.state += self.make_state()
        self.make_optimizers()
        self._builds += 1

    # Units

    @property
    def inputs(self) -> int:
        """Channels of the image: the units below the first layer."""
        return self.spec.image_shape[-1]

    def remember(self) -> None:
        """Keeps copies of the hidden layers as they are now."""
        self.old_widths = list(self.widths)
        for before, variable in zip(self.before, self.kernels + self.biases):
            before.assign(variable)

    def views(self) -> list[np.ndarray]:
        """Kernels as `(positions, units below, units)`, the head's last."""
        return self._views([*self.kernels, self.head.kernels[0]])

    def views_before(self) -> list[np.ndarray]:
        """The same of the copies in `before`, without a head."""
        return self._views(self.before[: len(self.kernels)])

    def _views(self, kernels):
        below = [self.inputs, *self.widths]
        return [unit_view(k.numpy(), count) for k, count in zip(kernels, below)]

    def grow(self, sources: Sequence[Sequence[int]]) -> None:
        """Builds the network with other units.

        Args:
            sources: Per hidden layer, for each unit the old unit whose
                weights it takes, or `NEW`.
        """
        views, copies = self.views(), self.views_before()
        biases = [v.numpy() for v in self.biases]
        bias_copies = [v.numpy() for v in self.before[len(self.kernels) :]]
        head_bias = self.head.biases[0].numpy()
        columns = self.head.columns.numpy()
        self._build([len(units) for units in sources])
        task, number = self._draws
        self._draws = (task, number + 1)
        self.redraw(self.shared + self.slot, "grown", *self._draws)
        below = [range(self.inputs), *sources]
        units = [*sources, range(self.head.num_outputs)]
        kernels = [*self.kernels, self.head.kernels[0]]
        before = self.before[: len(sources)], self.before[len(sources) :]
        for variables, old, under, over in (
            (kernels, views, below, units),
            (before[0], copies, below, units),
            (self.biases, _as_views(biases), None, units),
            (before[1], _as_views(bias_copies), None, units),
        ):
            for depth, (variable, view) in enumerate(zip(variables, old)):
                rows = [0] if under is None else under[depth]
                grown = regrown(view, rows, over[depth], variable.numpy())
                variable.assign(grown)
        self.head.biases[0].assign(head_bias)
        self.head.columns.assign(columns)

    # SupportsGrowth

    def structure(self) -> Structure:
        return {"widths": self.widths}

    def grow_to(self, structure: Structure) -> None:
        self._build(structure["widths"])

    def graph(self) -> int:
        return self._builds

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        self._draws = (task.index, 0)

    # Bank

    @property
    def _head_kernel(self):
        return f"{self.head.name}/kernel_0"

    def bank_values(self) -> Values:
        values = super().bank_values()
        kernel = values[self._head_kernel]
        values[self._head_kernel] = unit_view(kernel, self.widths[-1])
        return values

    def activate(self, values: Values, task_index: int) -> None:
        values = dict(values)
        kernel = values[self._head_kernel]
        positions, units, classes = kernel.shape
        padded = np.zeros((positions, self.widths[-1], classes), kernel.dtype)
        padded[:, :units] = kernel
        values[self._head_kernel] = padded.reshape(-1, classes)
        for gate in self.gates:
            # Units that came later are closed.
            name = f"{gate.name}/{gate.open.name}"
            known = values[name]
            values[name] = np.zeros(gate.open.shape, known.dtype)
            values[name][: len(known)] = known
        super().activate(values, task_index)

    def bank_notes(self) -> dict[str, Any]:
        return {"units": dict(zip(self.chain.names, self.widths))}


def _as_views(biases):
    return [bias[None, None] for bias in biases]


class _StampedNetwork(TaskNetwork):
    """A network of which the active task knows the first units only."""

    def __init__(self, chain, backbone, head):
        super().__init__(backbone, head)
        self._chain = chain

    def forms(self):
        return {"folded": self.lower}

    def lower(self):
        """The plain model of the open units."""
        names = self._chain.names
        every = [self.backbone.get_layer(name) for name in names]
        gates = map(self.backbone.get_layer, self._chain.gate_names.values())
        known = [int(gate.open.numpy().sum()) for gate in gates]
        plain = self._chain.model(known, gated=False)
        below, wide = plain.input_shape[-1], plain.input_shape[-1]
        for name, layer, count in zip(names, every, known):
            kernel, bias = layer.get_weights()
            view = unit_view(kernel, wide)[:, :below, :count]
            target = plain.get_layer(name)
            view = view.reshape(target.kernel.shape)
            target.set_weights([view, bias[:count]])
            below, wide = count, len(bias)
        ((layer, (kernel, bias)),) = self.head.lower()
        outputs = layer(plain.outputs[0])
        view = unit_view(kernel, wide)[:, :below]
        layer.set_weights([view.reshape(-1, view.shape[-1]), bias])
        return keras.Model(plain.inputs[0], outputs)
