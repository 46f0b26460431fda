"""The training steps of a network whose weights belong to tasks."""

import numpy as np
import tensorflow as tf

from tfcl.layers.masked_kernel import FIXED, NONE, SCORES
from tfcl.methods.base import Update, mean_accuracy
from tfcl.methods.layer_choice import statistic
from tfcl.optimizers.magnitude_pruning import is_event, prune_gradually
from tfcl.optimizers.owned_weights import owned_gradient, score_gradient


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

    def __init__(self, method, zero_on_prune=False):
        self.method = method
        self.zero_on_prune = zero_on_prune
        self._decay = method.training.weight_decay
        self.ramp = statistic(np.zeros(6), "ramp", "float64")
        self.ramp_step = statistic(0, "ramp_step", "int32")
        self.state = [self.ramp, self.ramp_step]

    def begin_ramp(self, schedule):
        """Starts a `GradualSparsity` at step 0."""
        self.ramp.assign(schedule.vector())
        self.ramp_step.assign(0)

    def pick(self, batch):
        """`Batch` to `Update`; see the class."""
        return self._step(batch, SCORES if self.method.picks else NONE)

    def own(self, batch):
        """`Batch` to `Update`; see the class."""
        return self._step(batch, FIXED if self.method.picks else NONE)

    def first(self, batch):
        """`Batch` to `Update`; see the class."""
        return self._step(batch, NONE)

    def prune(self, batch):
        """`Batch` to `Update`; see the class."""
        return self.own(batch)._replace(then=self._prune)

    def first_prune(self, batch):
        """`Batch` to `Update`; see the class."""
        return self.first(batch)._replace(then=self._prune)

    def _step(self, batch, picking):
        method, masked = self.method, self.method.masked
        for layer in masked:
            layer.picking = picking
        kernels = [layer.kernel.value for layer in masked]
        plain = [owned.variable.value for owned in method.plain_trained]
        scores = []
        if picking == SCORES:
            scores = [layer.scores.value for layer in masked]
        with tf.GradientTape() as tape:
            loss, logits = method.loss_of(batch)
            penalty = method.penalty()
            if penalty is not None:
                loss += penalty / batch.replicas
        of_kernels, of_plain, of_scores = tape.gradient(
            loss, [kernels, plain, scores]
        )
        owners = [layer.owner.value for layer in masked]
        number, decay = masked[0].task, self._decay / batch.replicas
        of_kernels = [
            owned_gradient(g, w, a, number, decay)
            for g, w, a in zip(of_kernels, kernels, owners)
        ]
        gradients = [("main", [*of_kernels, *of_plain], [*kernels, *plain])]
        if scores:
            of_scores = [
                score_gradient(g, a, number)
                for g, a in zip(of_scores, owners)
            ]
            gradients.append(("picks", of_scores, scores))
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
                kept = tf.convert_to_tensor(layer.owner) > 0
                for variable in (layer.kernel, sgd.buffer_of(layer.kernel)):
                    value = tf.convert_to_tensor(variable)
                    variable.assign(tf.where(kept, value, tf.zeros_like(value)))
            return 0

        tf.cond(is_event(self.ramp_step, schedule), zero, lambda: 0)
