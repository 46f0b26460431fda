"""A network whose every weight belongs to one task, or to none yet."""

from __future__ import annotations

import typing

import numpy as np

from tfcl.arguments import require
from tfcl.layers.masked.masked_conv2d import MaskedConv2D
from tfcl.layers.masked.masked_dense import MaskedDense
from tfcl.layers.masked.masked_kernel import MaskedKernel
from tfcl.methods.cpg.masked_steps import MaskedSteps
from tfcl.methods.cpg.ownership_notes import ownership_notes, shares_of
from tfcl.methods.cpg.served_networks import ServedNetworks
from tfcl.methods.cpg.weight_shares import say_shares, weight_shares
from tfcl.methods.network_method import NetworkMethod
from tfcl.methods.protocols import SupportsGrowth
from tfcl.models.network import TaskNetwork
from tfcl.models.surgery.leading_block import widened
from tfcl.models.surgery.lift import lift
from tfcl.models.surgery.rewire import with_arguments
from tfcl.models.variables import leaf_layers
from tfcl.optimizers.adam_torch import AdamTorch
from tfcl.optimizers.owned_weights import claimed, without_foreign

if typing.TYPE_CHECKING:
    from typing import Any

    import keras

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch, Update
    from tfcl.methods.task_training import TaskTraining
    from tfcl.models.variables import Owned
    from tfcl.types import Structure, Tensor, Values


_MOST_TASKS = 255  # An owner is one byte; 0 is nobody.


class MaskedNetwork(NetworkMethod, SupportsGrowth):
    """Masked kernels, claimed by the task that trains and pruned afterwards.

    Task t, counted from 1, claims every free weight, trains the weights it
    owns, and reads those of earlier tasks: all of them, or those it picks.
    Biases, norms, slopes and the head are the task's own; but for the head
    they start from the values of task t - 1.

    The network in training holds kernels and owners (shared) and the slot.
    `predict` goes through plain networks (`ServedNetworks`), so that a task's
    logits keep their bits when the network grows.

    Args:
        training: `TaskTraining`; its weight decay is for masked kernels.
        picks: Whether tasks pick among earlier weights.
        threshold: tau: scores above it pick a weight.
        initial_score: Score of every weight when a task begins.
        untrained: `{task name: function}` of the first task, if it needs no
            training: the backbone's pretrained weights are its own, and the
            function (such as `application_classifier`) returns kernel
            `(features, classes)` and bias `(classes,)` of its classifier.

    Attributes:
        width: q, multiple of the parameters of the first network.
        masked: Layers with a `MaskedKernel`, in the backbone's order.
        plain_trained: What is trained besides kernels and scores, `Owned`.
        steps: `MaskedSteps`.
    """

    of_the_task = "the masks and the head"
    decays_weights = True
    takes_losses = True

    def __init__(
        self,
        training: TaskTraining,
        picks: bool = False,
        threshold: float = 0.005,
        initial_score: float = 0.01,
        untrained: dict | None = None,
    ):
        super().__init__(training)
        require(
            initial_score > threshold,
            "initial_score",
            f"must be above the threshold {threshold}, so that a task begins "
            "with every earlier weight and keeps its own",
            initial_score,
        )
        self.untrained = dict(untrained or {})
        require(
            not self.untrained or not training.hidden_units,
            "untrained",
            "must be empty if TaskTraining.hidden_units puts layers before "
            "the classifier",
            sorted(self.untrained),
        )
        self.picks = picks
        self._options = {
            "picks": picks,
            "threshold": threshold,
            "initial_score": initial_score,
        }
        self.width = 1.0
        self._index = 0

    # Building and growing

    def backbone(self, width: float) -> keras.Model:
        """A plain backbone of a width; a subclass that grows asks for it."""
        require(width == 1.0, "width", "must be 1 without growth", width)
        return self.training.backbone(self.spec)

    def setup(self, spec: StreamSpec, seed: int) -> None:
        self.spec, self.seed = spec, seed
        self._builds = 0
        self.served = ServedNetworks(self._plain)
        self.steps = self.make_steps()
        self._build(1.0)
        require(
            not self.untrained or bool(self.training.pretrained),
            "untrained",
            "must be empty unless the backbone starts from its weights",
            sorted(self.untrained),
        )
        backbone = self._network.backbone
        self.require_still(backbone, [v.variable for v in self.shared])
        say_shares(self.name, backbone)
        self.redraw(self.shared, "shared")

    def _plain(self, width):
        return TaskNetwork(self.backbone(width), self.make_head(self.spec))

    def _build(self, width):
        """Builds everything at a width; values are as initializers like."""
        self.width = width
        backbone = self.backbone(width)
        rules = {
            masked.plain: lambda layer, kind=masked: kind.lift(
                layer, **self._options
            )
            for masked in (MaskedConv2D, MaskedDense)
        }
        head = self.make_head(self.spec)
        lifted = lift(backbone, rules)
        self._network = self.training.network(lifted, head)
        self._unpicked = lifted
        if self.picks:
            self._unpicked = with_arguments(lifted, MaskedKernel, picks=False)
        self.masked = [
            layer
            for layer in leaf_layers(self._network.backbone)
            if isinstance(layer, MaskedKernel)
        ]
        self.divide(self._network)
        self.served.add(width)
        self._serving_width = width
        self.state = [
            *self.random_state,
            *[layer.task for layer in self.masked],
            *self.steps.state,
            *self.make_state(),
        ]
        self._builds += 1
        self.optimizers = {}
        kernels = [layer.kernel for layer in self.masked]
        plain = [owned.variable for owned in self.plain_trained]
        optimizer = self.training.make_optimizer()
        self.build_optimizer("main", optimizer, [*kernels, *plain])
        if self.picks:
            scores = [layer.scores for layer in self.masked]
            self.build_optimizer("picks", AdamTorch(), scores)

    def training_backbone(self, picks: bool) -> keras.Model:
        """The backbone in training, images to features.

        Args:
            picks: Whether it computes with `W_eff = B(P) W`, or with W as it
                stands: the same numbers as long as everything is picked.
        """
        return self._network.backbone if picks else self._unpicked

    def make_steps(self) -> MaskedSteps:
        """The `MaskedSteps`."""
        return MaskedSteps(self)

    def make_state(self) -> list[keras.Variable]:
        """Further variables of a subclass, after every growth: a list."""
        return []

    def divide(self, network: TaskNetwork) -> None:
        masked = {layer.name for layer in self.masked}

        def kind(owned):
            layer, _, name = owned.name.rpartition("/")
            return name if layer in masked else None

        listed = network.backbone_variables
        self.shared = [v for v in listed if kind(v) in ("kernel", "owner")]
        rest = [v for v in listed if kind(v) not in ("kernel", "owner", "task")]
        self.slot = rest + network.head_variables
        self._scores = [v for v in rest if kind(v) == "scores"]
        inside = {id(owned) for owned in self._scores}
        own = [v for v in self.slot if id(v) not in inside]
        self._plain_owned = own
        self.plain_trained = [v for v in own if v.variable.trainable]

    def grow(self, width: float, task: Task) -> None:
        """Begins a task again in a wider network.

        The weights of earlier tasks stand in the leading block, what they
        left free is 0 there; all else is drawn anew.

        Args:
            width: The new one.
            task: `Task` in training.
        """
        number = task.index + 1
        earlier = [
            _of_earlier(layer.kernel.numpy(), layer.owner.numpy(), number)
            for layer in self.masked
        ]
        known = self.recall(task.index - 1)["width"] if task.index else None
        blocks = []
        if known is not None:
            for layer, pair in zip(self.masked, earlier):
                blocks.append(self.served.blocks(float(known), layer, *pair))
        self._build(width)
        self.redraw(self.shared, "shared", task.index, repr(width))
        for layer, (kernel, owner) in zip(self.masked, blocks):
            name = f"{layer.name}/kernel"
            self._lead(name, layer.kernel, kernel)
            self._lead(name, layer.owner, owner)
        self.begin_task(task)

    def _lead(self, name, variable, block):
        """Puts a narrower network's array into a variable's leading block."""
        positions = self.served.positions.get(name, 1)
        variable.assign(widened(block, variable.numpy(), positions))

    def structure(self) -> Structure:
        return {"width": self.width, "served": self.served.widths}

    def grow_to(self, structure: Structure) -> None:
        for width in structure["served"]:
            self.served.add(width)
        if structure["width"] != self.width:
            self._build(structure["width"])

    def graph(self) -> int:
        return self._builds

    def serving_graph(self) -> Any:
        return self._serving_width

    # A task

    def begin_task(self, task: Task) -> None:
        require(
            task.index < _MOST_TASKS,
            "index",
            f"of a task must be below {_MOST_TASKS}, since an owner is one "
            "byte; start a new run for further tasks",
            task.index,
        )
        self._check_untrained()
        self._index = task.index
        super().begin_task(task)
        if task.name in self.untrained:
            self._take_classifier(task)
        if task.index:
            self._start_from(self.recall(task.index - 1))
        for layer in self.masked:
            layer.task.assign(task.index + 1)
            layer.owner.assign(claimed(layer.owner, task.index + 1))

    def _check_untrained(self):
        first = self.spec.task_names[0]
        require(
            set(self.untrained) <= {first},
            "untrained",
            f"must name the first task, '{first}', or none: a later one has "
            "to learn which weights it uses",
            sorted(self.untrained),
        )

    def _take_classifier(self, task):
        """The head of a task that is not trained."""
        kernel, bias = self.untrained[task.name]()
        wanted = (self.head.kernels[0].shape[0], task.num_classes)
        require(
            kernel.shape == wanted and bias.shape == wanted[1:],
            "untrained",
            f"must give task '{task.name}' a classifier with a kernel of "
            f"{wanted} and a bias of {wanted[1:]}, features and classes. Train "
            "the task, or take the classifier of this backbone",
            (tuple(kernel.shape), tuple(bias.shape)),
        )
        pairs = zip((self.head.kernels[0], self.head.biases[0]), (kernel, bias))
        for variable, block in pairs:
            value = variable.numpy()
            value[..., : wanted[1]] = block
            variable.assign(value)

    def resume_task(self, task: Task, values: Values) -> None:
        raise ValueError(
            f"{self.name} learns a task once: its weights are fixed "
            "afterwards. Take the repeats out of the stream's `order`. "
            f"Received: task '{task.name}' again"
        )

    def _start_from(self, values):
        """Biases, norms and slopes as another task had them."""
        head = {owned.name for owned in self._network.head_variables}
        for owned in self._plain_owned:
            if owned.name not in head:
                self._lead(owned.name, owned.variable, values[owned.name])

    def pick_everything(self) -> None:
        """Sets every score to its start value."""
        for owned in self._scores:
            owned.variable.assign(owned.fresh(0))

    def own_weights(self) -> int:
        """How many weights the task in training owns."""
        number = self._index + 1
        return sum(
            int(np.count_nonzero(layer.owner.numpy() == number))
            for layer in self.masked
        )

    def zero_free(self) -> None:
        """Zeroes the free weights, as evaluation does after every epoch."""
        for layer in self.masked:
            layer.kernel.assign(
                without_foreign(layer.kernel, layer.owner, layer.task)
            )

    def end_task(self, task: Task) -> None:
        self.zero_free()

    def train_step(self, batch: Batch) -> Update:
        return self.steps.pick(batch)

    # Serving

    def begin_evaluation(self) -> None:
        self.zero_free()
        self.activate(self.bank_values(), self._index)

    def predict(self, images: Tensor) -> Tensor:
        return self.network()(images, training=False)

    def network(self) -> TaskNetwork:
        return self.served.network(self._serving_width)

    def read_variables(self) -> list[Owned]:
        network = self.network()
        return network.backbone_variables + network.head_variables

    def bank_values(self) -> Values:
        values = {v.name: v.variable.numpy() for v in self._plain_owned}
        picks = self.served.pack(self.width, self.masked, self._index + 1)
        width = {"width": np.float32(self.width)}
        return {**self.head.trimmed(values), **picks, **width}

    def activate(self, values: Values, task_index: int) -> None:
        width = float(values["width"])
        self._serving_width = width
        self.served.serve(width, self.masked, task_index + 1, values)

    def bank_notes(self) -> dict[str, Any]:
        notes = ownership_notes(
            self.masked, self._index + 1, self.width, self.picks
        )
        return {
            "width": self.width,
            "weights": weight_shares(self._network.backbone),
            **notes,
        }

    def sparsity(self) -> float | None:
        """The share of its weights that the task in training has released."""
        owners = [layer.owner.numpy() for layer in self.masked]
        return shares_of(owners, self._index + 1)["sparsity"]


def _of_earlier(kernel, owner, number):
    """Kernel and owners with 0 where no earlier task owns the weight."""
    earlier = (owner > 0) & (owner < number)
    return [np.where(earlier, a, a.dtype.type(0)) for a in (kernel, owner)]
