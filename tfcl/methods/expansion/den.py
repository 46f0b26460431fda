"""DEN: retrain what matters, grow where that fails, split what drifts."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Annotated

import gin
import numpy as np
import tensorflow as tf

from tfcl.arguments import (
    NonNegativeFloat,
    PositiveInt,
    checked,
    one_of,
    require,
)
from tfcl.methods.base import Update, mean_accuracy, values_of
from tfcl.methods.expansion.growing_network import GrowingNetwork
from tfcl.methods.work import Decision
from tfcl.models.surgery.growing_chain import NEW, entry_mask
from tfcl.models.variables import statistic
from tfcl.optimizers.proximal import (
    shrink_groups,
    soft_threshold,
    with_proximal_step,
)

if typing.TYPE_CHECKING:
    from typing import Any

    import keras

    from tfcl.data.task import Task
    from tfcl.methods.base import Batch
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.work import Phases
    from tfcl.types import Values


RATE = "rate"
ONE = "one"


@gin.configurable
class DEN(GrowingNetwork):
    """Dynamically expandable networks, convolutional.

    The first task trains the whole network with `l1 ||W||_1`. Every later
    task t

    1. trains its head alone, finds the units that reach it by weights that
       are not zero, and retrains this sub-network (selective retraining);
    2. if the training loss is still above `loss_threshold`, adds `expansion`
       units to every hidden layer, trains their weights with `l1` and a group
       lasso over each one's incoming weights, and drops those that became
       zero (dynamic expansion);
    3. gives units whose incoming weights drifted by more than
       `split_threshold` their old weights back and lets copies carry the new
       ones, then trains all with `drift ||W - W^(t-1)||_2^2` (split);
    4. stamps the units that exist now: task t will use no later ones.

    A unit of a convolution is an output channel. Every stage runs for the
    epochs of `training`. A task seen again is retrained (step 1), without
    growth.

    Args:
        training: `TaskTraining`; its `hidden_units` are hidden layers that
            grow too.
        l1: mu, weight of the l1 norms.
        l2: Weight of `||W||_2^2 / 2` in selective retraining.
        group_lasso: gamma.
        drift: lambda of step 3.
        loss_threshold: tau, cross-entropy per example.
        split_threshold: sigma, for convolutions and for dense layers.
        expansion: k, units added per hidden layer; at most as many of a
            layer are split.
        proximal: Thresholds of the proximal steps: the weights times the
            learning "rate", as the method of proximal gradients has it, or
            times "one", as in the authors' programs.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Note:
        Where a copy replaces its unit, layers above that serve the new task
        alone (copies, added units, the head) hear the copy, all others the
        unit: old tasks compute what they did, the new one nearly so.

    Reference:
        Yoon, Yang, Lee, Hwang, "Lifelong Learning with Dynamically Expandable
        Networks", ICLR 2018, algorithms 1-4; default weights as in the
        baselines of Lee, Behpour, Eaton, ICML 2021.
    """

    metric_shapes = {"accuracy": (), "cross_entropy": ()}

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        l1: NonNegativeFloat = 1e-6,
        l2: NonNegativeFloat = 0.01,
        group_lasso: NonNegativeFloat = 0.8,
        drift: NonNegativeFloat = 0.5,
        loss_threshold: NonNegativeFloat = 0.01,
        split_threshold: Sequence[NonNegativeFloat] = (0.98, 0.01),
        expansion: PositiveInt = 16,
        proximal: Annotated[str, one_of(RATE, ONE)] = RATE,
        **options: Any,
    ):
        super().__init__(training, **options)
        require(
            len(split_threshold) == 2 and min(split_threshold) >= 0,
            "split_threshold",
            "must be a pair of numbers, for convolutions and dense layers",
            split_threshold,
        )
        self.l1, self.l2 = l1, l2
        self.group_lasso, self.drift = group_lasso, drift
        self.loss_threshold = loss_threshold
        self.split_threshold = tuple(split_threshold)
        self.expansion = expansion
        self.proximal = proximal

    # What every growth builds anew

    def make_state(self) -> list[keras.Variable]:
        shapes = [owned.variable.shape for owned in self._trained]
        self.masks = [statistic(np.ones(s), "mask") for s in shapes]
        self.old = [
            statistic(np.zeros(kernel.shape), "old") for kernel in self.kernels
        ]
        self.added = [
            statistic(np.zeros(width), "added") for width in self.widths
        ]
        return [*self.masks, *self.old, *self.added]

    @property
    def task_state(self) -> list[keras.Variable]:
        return self.masks

    def make_optimizers(self) -> None:
        super().make_optimizers()
        operators = []
        for mask, added in zip(self.masks[::2], [*self.added, None]):
            operators += [self._shrinking(mask, added), None]  # no bias
        sparse = self.training.make_optimizer()
        with_proximal_step(sparse, operators)
        self.build_optimizer("sparse", sparse, self._trained)

    def _shrinking(self, mask, added):
        """The proximal operator of a kernel, on its trained entries."""

        def operator(value, rate):
            step = rate if self.proximal == RATE else 1.0
            shrunk = soft_threshold(value, step * self.l1)
            value = tf.where(mask > 0, shrunk, value)
            if added is None:  # The head's outputs are no units.
                return value
            return shrink_groups(value, step * self.group_lasso * added)

        return operator

    # Which weights a stage trains

    def _train_all(self, hidden=1.0):
        *layers, kernel, bias = self.masks
        for mask in layers:
            mask.assign(np.full(mask.shape, hidden))
        for mask in (kernel, bias):
            mask.assign(np.ones(mask.shape))

    def _train_between(self, marks):
        """Trains the weights between marked units, and the head's."""
        ones = np.ones(self.head.num_outputs)
        self._set_masks(np.ones(self.inputs), [*marks, ones], entry_mask)

    def _train_touching(self, marks):
        """Trains every weight that enters or leaves a marked unit."""

        def touching(under, over, shape):
            return 1.0 - entry_mask(1.0 - under, 1.0 - over, shape)

        none = np.zeros(self.head.num_outputs)
        self._set_masks(np.zeros(self.inputs), [*marks, none], touching)

    def _set_masks(self, inputs, marks, entries):
        pairs = zip(self.masks[::2], self.masks[1::2])
        for (kernel, bias), under, over in zip(pairs, [inputs, *marks], marks):
            kernel.assign(entries(under, over, kernel.shape))
            bias.assign(over)

    def _selected(self):
        """Marks of the units that reach the head by nonzero weights."""
        marks, above = [], np.ones(self.head.num_outputs)
        gates = [gate.open.numpy() for gate in self.gates]
        for view, gate in zip(self.views()[:0:-1], gates[::-1]):
            reaching = (view != 0)[:, :, above > 0].any(axis=(0, 2))
            above = reaching * gate
            marks.insert(0, above)
        return marks

    # One task

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        self.remember()

    def resume_task(self, task: Task, values: Values) -> None:
        super().resume_task(task, values)
        self.remember()

    def phases(self, task: Task) -> Phases:
        if not task.earlier:
            self._train_all()
            yield self._stage("train", "sparse", self.sparse_step)
            return
        if not self.seen_again:
            self._train_all(hidden=0.0)
            yield self._stage("head", "sparse", self.head_step)
        self._train_between(self._selected())
        result = yield self._stage("retrain", "main", self.retrain_step)
        if self.seen_again:
            return
        if result["train/cross_entropy"] > self.loss_threshold:
            self._expand()
            yield self._stage("expand", "sparse", self.sparse_step)
            useful = yield Decision("useful_units", self._useful_units)
            self._keep_added(useful["value"])
        drifted = yield Decision("drifted_units", self._drifted_units)
        if any(drifted["value"]):
            self._split(drifted["value"])
            yield self._stage("split", "main", self.split_step)

    def _stage(self, name, optimizer, step):
        self.reset_optimizers()
        phase = self.training.phase(name)
        phase.rates = {optimizer: phase.rates["main"]}
        phase.steps = (step,)
        return phase

    # Dynamic expansion

    def _expand(self):
        new = [NEW] * self.expansion
        self.grow([[*range(width), *new] for width in self.widths])
        marks = [
            np.float32(np.arange(width) >= width - self.expansion)
            for width in self.widths
        ]
        self._train_touching(marks)
        for added, mark in zip(self.added, marks):
            added.assign(mark)

    def _useful_units(self):
        """Per layer the added units whose incoming weights are not all 0."""
        return [
            [
                unit
                for unit in range(width - self.expansion, width)
                if view[:, :, unit].any()
            ]
            for width, view in zip(self.widths, self.views())
        ]

    def _keep_added(self, useful):
        """Drops the added units but for those listed per layer."""
        self.grow(
            [
                [*range(width - self.expansion), *kept]
                for width, kept in zip(self.widths, useful)
            ]
        )

    # Split and duplication

    def _drifted_units(self):
        """Per layer the old units that moved too far, the farthest first."""
        result, below = [], self.inputs
        layers = zip(self.old_widths, self.views(), self.views_before())
        for depth, (units, now, before) in enumerate(layers):
            moved = (now - before)[:, :below, :units]
            distance = np.sqrt(np.square(moved).sum(axis=(0, 1)))
            limit = self.split_threshold[0 if self.chain.is_conv[depth] else 1]
            far = np.flatnonzero(distance > limit)
            far = far[np.argsort(-distance[far], kind="stable")]
            result.append([int(unit) for unit in far[: self.expansion]])
            below = units
        return result

    def _split(self, drifted):
        """Copies carry the new weights, the old units get theirs back."""
        self.grow([[*range(w), *u] for w, u in zip(self.widths, drifted)])
        kernels = [np.array(view) for view in self.views()]
        biases = [bias.numpy() for bias in self.biases]
        # Nothing above the last layer is old: the head is the new task's.
        old = [self.inputs, *self.old_widths, 0]
        before = self.views_before()
        biases_before = [v.numpy() for v in self.before[len(self.kernels) :]]
        for depth, units in enumerate(drifted):
            copies = range(self.widths[depth] - len(units), self.widths[depth])
            above, above_old = kernels[depth + 1], old[depth + 2]
            for unit, copy in zip(units, copies):
                above[:, copy, :above_old] = 0.0
                above[:, unit, above_old:] = 0.0
                incoming = kernels[depth][:, :, unit]
                incoming[:, : old[depth]] = before[depth][:, : old[depth], unit]
                incoming[:, old[depth] :] = 0.0
                biases[depth][unit] = biases_before[depth][unit]
        for variable, value in zip(
            [*self.kernels, self.head.kernels[0], *self.biases],
            [*kernels, *biases],
        ):
            variable.assign(value.reshape(variable.shape))
        self._train_all()
        self._mark_old()

    def _mark_old(self):
        """Marks the weights between units that the last task knew."""
        old = [np.ones(self.inputs)]
        old += [
            np.float32(np.arange(width) < units)
            for width, units in zip(self.widths, self.old_widths)
        ]
        for mask, under, over in zip(self.old, old, old[1:]):
            mask.assign(entry_mask(under, over, mask.shape))

    # Steps

    def sparse_step(self, batch: Batch) -> Update:
        """CE; the proximal step follows each update."""
        return self._masked_step(batch, "sparse", lambda: 0.0)

    def head_step(self, batch: Batch) -> Update:
        """`sparse_step` of the head alone, without gradients of the rest."""
        return self._masked_step(batch, "sparse", lambda: 0.0, first=-2)

    def retrain_step(self, batch: Batch) -> Update:
        """CE + l2 ||W||^2 / 2 of the weights in training."""
        return self._masked_step(batch, "main", self._size)

    def split_step(self, batch: Batch) -> Update:
        """CE + drift ||W - W^(t-1)||^2 of the old units' weights."""
        return self._masked_step(batch, "main", self._distance)

    def _size(self):
        squares = [
            tf.reduce_sum(mask * tf.square(kernel))
            for kernel, mask in zip(
                [*self.kernels, self.head.kernels[0]], self.masks[::2]
            )
        ]
        return 0.5 * self.l2 * sum(squares)

    def _distance(self):
        squares = [
            tf.reduce_sum(old * tf.square(kernel - before))
            for kernel, before, old in zip(self.kernels, self.before, self.old)
        ]
        return self.drift * sum(squares)

    def _masked_step(self, batch, optimizer, penalty, first=0):
        variables = values_of(self._trained)[first:]
        with tf.GradientTape() as tape:
            cross_entropy, logits = self.loss_of(batch)
            loss = cross_entropy + penalty() / batch.replicas
        gradients = [
            gradient * mask
            for gradient, mask in zip(
                tape.gradient(loss, variables), self.masks[first:]
            )
        ]
        return Update(
            loss=loss,
            metrics={
                "accuracy": mean_accuracy(batch, logits),
                "cross_entropy": cross_entropy,
            },
            gradients=[(optimizer, gradients, variables)],
        )
