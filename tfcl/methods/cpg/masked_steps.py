"""The training steps of a network whose weights belong to tasks."""

from __future__ import annotations

import typing

import numpy as np
import tensorflow as tf

from tfcl.layers.masked.straight_through import straight_through
from tfcl.methods.base import Update, mean_accuracy
from tfcl.models.variables import statistic
from tfcl.optimizers.magnitude_pruning import is_event, prune_gradually
from tfcl.optimizers.owned_weights import fused_if_large, without_foreign

if typing.TYPE_CHECKING:
    from tfcl.methods.base import Batch, Method
    from tfcl.optimizers.magnitude_pruning import GradualSparsity


class MaskedSteps:
    """Steps that a `MaskedNetwork` gives to its phases.

    - `pick`: the task's own weights learn, and its scores if it has some;
    - `own`: what it picks stays, which is cheaper;
    - `first`: there is nothing to pick yet, cheaper still;
    - `prune`, `first_prune`: `own` and `first`, and then the pruner.

    Biases, norms, slopes and the head learn in all of them.

    Args:
        method: `MaskedNetwork`.
        zero_on_prune: Zero a weight and its momentum as soon as it is pruned.
            False leaves that to the evaluation after the epoch, as the
            published program does.

    Attributes:
        ramp: Float64 variable `(6,)`, see `GradualSparsity.vector`.
        ramp_step: Steps since its begin.
        state: Both, for checkpoints.
    """

    def __init__(self, method: Method, zero_on_prune: bool = False):
        self.method = method
        self.zero_on_prune = zero_on_prune
        self.ramp = statistic(np.zeros(6), "ramp", "float64")
        self.ramp_step = statistic(0, "ramp_step", "int32")
        self.state = [self.ramp, self.ramp_step]

    def begin_ramp(self, schedule: GradualSparsity) -> None:
        """Starts a `GradualSparsity` at step 0."""
        self.ramp.assign(schedule.vector())
        self.ramp_step.assign(0)

    def pick(self, batch: Batch) -> Update:
        """`Batch` to `Update`; see the class."""
        return self._step(batch, picks=True, scores=True)

    def own(self, batch: Batch) -> Update:
        """`Batch` to `Update`; see the class."""
        return self._step(batch, picks=True, scores=False)

    def first(self, batch: Batch) -> Update:
        """`Batch` to `Update`; see the class."""
        return self._step(batch, picks=False, scores=False)

    def prune(self, batch: Batch) -> Update:
        """`Batch` to `Update`; see the class."""
        return self.own(batch)._replace(after_apply=self._prune)

    def first_prune(self, batch: Batch) -> Update:
        """`Batch` to `Update`; see the class."""
        return self.first(batch)._replace(after_apply=self._prune)

    def _step(self, batch, picks, scores):
        method, masked = self.method, self.method.masked
        scores = scores and method.picks
        backbone = method.training_backbone(picks)
        kernels = [layer.kernel.value for layer in masked]
        plain = [owned.variable.value for owned in method.plain_trained]
        with tf.GradientTape() as tape:
            loss, logits = method.objective(batch, features=backbone)
        # Masked layers pass on dL/dW_eff.
        of_kernels, of_plain = tape.gradient(loss, [kernels, plain])
        decay = method.training.weight_decay / batch.replicas
        treated = [
            _trained(gradient, layer, decay, scores)
            for gradient, layer in zip(of_kernels, masked)
        ]
        of_kernels = [gradients[0] for gradients in treated]
        gradients = [("main", [*of_kernels, *of_plain], [*kernels, *plain])]
        if scores:
            trained = [layer.scores.value for layer in masked]
            gradients.append(("picks", [g[1] for g in treated], trained))
        return Update(
            loss=loss,
            metrics={"accuracy": mean_accuracy(batch, logits)},
            gradients=gradients,
        )

    def _prune(self):
        masked = self.method.masked
        pruned = prune_gradually(
            [layer.kernel for layer in masked],
            [layer.owner for layer in masked],
            masked[0].task,
            self.ramp_step,
            tf.convert_to_tensor(self.ramp),
        )
        for layer, owner in zip(masked, pruned):
            layer.owner.assign(owner)
        if self.zero_on_prune:
            self._zero(tf.convert_to_tensor(self.ramp))
        self.ramp_step.assign_add(1)

    def _zero(self, schedule):
        """Zeroes free weights and their momentum at a pruning event."""
        sgd = self.method.optimizers["main"]

        def zero():
            for layer in self.method.masked:
                for variable in (layer.kernel, sgd.buffer_of(layer.kernel)):
                    variable.assign(
                        without_foreign(variable, layer.owner, layer.task)
                    )
            return 0

        tf.cond(is_event(self.ramp_step, schedule), zero, lambda: 0)


def _trained(gradient, layer, weight_decay, scores):
    """`straight_through` of a layer, in one pass over a large kernel."""
    kernel = tf.convert_to_tensor(layer.kernel)
    return fused_if_large(kernel)(straight_through)(
        gradient,
        kernel,
        tf.convert_to_tensor(layer.owner),
        tf.convert_to_tensor(layer.task),
        tf.cast(weight_decay, kernel.dtype),
        scores,
    )
