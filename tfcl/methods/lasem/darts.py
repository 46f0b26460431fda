"""DARTS-style selection: a softmax per layer decides what is shared."""

from __future__ import annotations

import typing
from typing import Annotated

import gin
import keras
import numpy as np
import tensorflow as tf

from tfcl.arguments import checked, one_of, require
from tfcl.layers.transfer.mixed_conv2d import MixedConv2D
from tfcl.layers.transfer.selective_conv2d import SelectiveConv2D
from tfcl.methods.base import Update, values_of
from tfcl.methods.lasem.searching_method import SearchingMethod
from tfcl.methods.lasem.transfers import HardTransfer
from tfcl.methods.network_method import added
from tfcl.models.surgery.rewire import rewire_throughout
from tfcl.optimizers.schedules import Clock

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch
    from tfcl.methods.lasem.transfers import Transfer
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.work import Phases
    from tfcl.types import Tensor


PUBLISHED = "published"
CORRECT = "correct"


@gin.configurable
class DARTS(SearchingMethod):
    """Differentiable choice of the layers to share.

    Per layer two logits a, zeros at the start of a task;
    `h = m_0 f(x; V) + m_1 f(x; S)`, `m = softmax(a)`, index 1 shared. Every
    batch first updates the logits, then, at the new logits, all weights; both
    with the same batch. At the end of the task the larger logit wins (ties:
    task-specific), and layers that are not shared are rolled back.

    Args:
        training: `TaskTraining`.
        transfer: `HardTransfer` (default) or `DeconvTransfer`.
        order: 1: the gradient of the loss. 2: with the effect on the weights
            after their next step (`HardTransfer` only).
        second_order: For order 2, "published" as the LASEM programs compute
            it (total derivatives, so that the second-order term counts twice;
            probes around the stepped weights; the norm of one tensor), or
            "correct" as in the DARTS paper (eq. 7 and 8).
        **options: Arguments of `TaskTraining`, in place of `training`.

    Reference:
        Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search", ICLR
        2019; as a baseline of Lee, Behpour, Eaton, ICML 2021.
    """

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        transfer: Transfer | None = None,
        order: Annotated[int, one_of(1, 2)] = 1,
        second_order: Annotated[str, one_of(PUBLISHED, CORRECT)] = PUBLISHED,
        **options: Any,
    ):
        super().__init__(training, transfer, **options)
        require(
            order == 1 or isinstance(self.transfer, HardTransfer),
            "order",
            "2 is offered for hard-parameter sharing only",
            order,
        )
        self.order = order
        self.second_order = second_order

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        depth = len(self.layers)
        self.logits = keras.Variable(
            np.zeros((depth, 2), np.float32), name="selection_logits"
        )
        self.state.append(self.logits)
        self._mixed = self._mixture(self._network.backbone)
        optimizer = self.training.make_optimizer()
        self.build_optimizer("selection", optimizer, [self.logits])

    def _mixture(self, backbone):
        mixed = {
            id(layer): MixedConv2D(
                layer, self.logits, depth, name=f"{layer.name}_mixed"
            )
            for depth, layer in enumerate(self.layers)
        }

        def call(layer, *args, **kwargs):
            if not isinstance(layer, SelectiveConv2D):
                return layer(*args, **kwargs)
            return mixed[id(layer)](*args)

        return rewire_throughout(backbone, call)

    # One task

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        self.logits.assign(np.zeros(self.logits.shape))

    def search(self, task: Task) -> Phases:
        phase = self.training.phase()
        phase.rates["selection"] = phase.rates["main"]
        phase.steps = (self.selection_step, self.train_step)
        yield phase

    def selection_step(self, batch: Batch) -> Update:
        """Updates the logits, at fixed weights."""
        if self.order == 2 and batch.replicas > 1:
            raise ValueError(
                "DARTS of order 2 takes a virtual step, which replicas would "
                "take apart: use --distribution=none or order 1. Received: "
                f"{batch.replicas} replicas"
            )
        # Its dropout is independent of the weight step's.
        seed = tf.random.experimental.stateless_fold_in(batch.seed, 1)
        batch = batch._replace(seed=seed)
        if self.order == 1:
            loss, gradient = self._first_order(batch)
        elif self.second_order == PUBLISHED:
            loss, gradient = self._second_order_published(batch)
        else:
            loss, gradient = self._second_order_correct(batch)
        return Update(
            loss=loss,
            metrics={},
            gradients=[("selection", [gradient], [self.logits.value])],
        )

    def features(self, images: Tensor, training: bool) -> Tensor:
        if self.seen_again:
            return super().features(images, training)
        return self._mixed(images, training=training)

    def penalty(self) -> Tensor | None:
        if self.seen_again:
            return super().penalty()
        mechanism = self.transfer.penalties(self.layers)
        return added([self.backbone_penalty(), *mechanism])

    # Gradients of the logits

    def _first_order(self, batch):
        with tf.GradientTape() as tape:
            loss, _ = self.loss_of(batch)
        return loss, tape.gradient(loss, self.logits.value)

    def _loss_at(self, batch, weights, logits):
        """The loss with tensors in place of the variables."""
        mapping = [(v.variable, w) for v, w in zip(self._trained, weights)]
        with keras.StatelessScope([*mapping, (self.logits, logits)]):
            return self.loss_of(batch)[0]

    def _weights(self):
        return [tf.convert_to_tensor(v) for v in values_of(self._trained)]

    @property
    def _first_rate(self):
        """eta_0, the rate of the virtual step; it does not decay."""
        return self.training.schedule(Clock(0, 0, self.training.epochs))

    def _second_order_published(self, batch):
        rate, weights = self._first_rate, self._weights()
        logits = tf.convert_to_tensor(self.logits.value)
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(logits)
            with tf.GradientTape() as tape:
                tape.watch(weights)
                loss = self._loss_at(batch, weights, logits)
            steps = tape.gradient(loss, weights)
            stepped = [w - rate * g for w, g in zip(weights, steps)]
            with tf.GradientTape() as tape:
                tape.watch(stepped)
                ahead = self._loss_at(batch, stepped, logits)
            slopes = tape.gradient(ahead, stepped)
            radii = [0.01 / tf.norm(slope) for slope in slopes]
            probes = [
                self._loss_at(
                    batch,
                    [w + s * r * g for w, r, g in zip(stepped, radii, slopes)],
                    logits,
                )
                for s in (1.0, -1.0)
            ]
        direct = outer.gradient(ahead, logits)
        plus, minus = (outer.gradient(probe, logits) for probe in probes)
        del outer
        # The radius of the l-th tensor in the list serves layer l.
        radius = tf.stack(radii[: len(self.layers)])[:, None]
        return loss, direct - rate / (2.0 * radius) * (plus - minus)

    def _second_order_correct(self, batch):
        rate, weights = self._first_rate, self._weights()
        logits = tf.convert_to_tensor(self.logits.value)
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss = self._loss_at(batch, weights, logits)
        steps = tape.gradient(loss, weights)
        stepped = [w - rate * g for w, g in zip(weights, steps)]
        with tf.GradientTape() as tape:
            tape.watch([stepped, logits])
            ahead = self._loss_at(batch, stepped, logits)
        slopes, direct = tape.gradient(ahead, [stepped, logits])
        radius = 0.01 / tf.linalg.global_norm(slopes)
        sides = []
        for sign in (1.0, -1.0):
            probe = [w + sign * radius * g for w, g in zip(weights, slopes)]
            with tf.GradientTape() as tape:
                tape.watch(logits)
                value = self._loss_at(batch, probe, logits)
            sides.append(tape.gradient(value, logits))
        return loss, direct - rate * (sides[0] - sides[1]) / (2.0 * radius)

    # The choice

    @property
    def best(self) -> np.ndarray:
        return self.logits.numpy().argmax(axis=1) == 1

    def bank_notes(self) -> dict[str, Any]:
        logits = self.logits.numpy()
        return {
            **super().bank_notes(),
            "selection_logits": {
                layer.name: float(one[1] - one[0])
                for layer, one in zip(self.layers, logits)
            },
        }

    def diagnostics(self) -> dict[str, tuple[Any, Any]]:
        weights = keras.ops.softmax(self.logits.numpy())[:, 1]
        names = [layer.name for layer in self.layers]
        # a_1 - a_0: the softmax knows nothing but the difference.
        difference = np.diff(self.logits.numpy(), axis=1)[:, 0]
        return {
            "shared_weight": (np.asarray(weights), names),
            "selection_logits": (difference, names),
        }
