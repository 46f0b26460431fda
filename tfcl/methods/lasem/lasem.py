"""LASEM: the layers to share are found by expectation-maximisation."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Annotated

import gin
import numpy as np
import tensorflow as tf

from tfcl.arguments import PositiveFloat, checked, one_of, require, within
from tfcl.methods.base import Update, cross_entropy, values_of
from tfcl.methods.lasem.searching_method import SearchingMethod
from tfcl.methods.lasem.transfer_configurations import transfer_configuration
from tfcl.methods.machine_memory import require_memory
from tfcl.models.surgery.prefix_tree import (
    configuration_name,
    configurations,
    layer_groups,
    prefix_tree,
    tree_bytes,
)
from tfcl.models.variables import statistic

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch
    from tfcl.methods.lasem.transfers import Transfer
    from tfcl.methods.task_training import TaskTraining
    from tfcl.types import Values


@gin.configurable
class LASEM(SearchingMethod):
    """Lifelong architecture search via EM, on any transfer mechanism.

    While a task trains, every convolution has a kernel by the transfer
    mechanism and a task's own kernel, and all 2^L configurations c live in
    one prefix tree:

    - E-step (no dropout): likelihood l_c = mean true-class probability,
      posterior g_c = p_c l_c / sum_c' p_c' l_c';
    - M-step: one gradient of sum_c g_c L_c for all weights (and of the
      mechanism's penalty of each layer, weighted by the posterior that the
      layer is shared);
    - prior p = running mean of the posteriors of this task.

    At the end of the task the configuration of the largest prior wins: shared
    layers keep their trained shared kernel. In the others the shared kernel
    returns to its values from before the task, and the task's own is kept.

    Args:
        training: `TaskTraining`.
        transfer: Mechanism of the shared layers, of
            `tfcl.methods.lasem.transfers`; None takes `HardTransfer`.
        prior: "mean" (running mean of posteriors) or "count" (how often each
            configuration had the largest posterior).
        initial_count: Count of every configuration at the start, for
            "count".
        reset_prior: Start the prior anew every epoch instead of every task.
        likelihood: "mean_prob" (the reference's code) or "product" over the
            batch in log space (the paper's formula).
        dropout_masks: "independent" per configuration, or "common".
        groups: Sizes of groups of consecutive layers that are shared or not
            together, e.g. (5, 4, 4, 4) for 17 convolutions: 2^groups instead
            of 2^L configurations. None decides for every layer.
        fixed_configuration: For analysis: no E-step, this configuration (as
            in `transfer_configuration`: "0011", "top_2", ...) has the
            posterior `fixed_probability` in every step, the others share the
            rest. It is the prior as well, so that it wins.
        fixed_probability: In (0, 1], and larger than that of the others.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Raises:
        ValueError: If an option is out of range; at set-up, if `groups` or
            `fixed_configuration` do not fit the backbone, or if the
            activations of one step exceed the machine's memory.

    Reference:
        Lee, Behpour, Eaton, "Sharing Less is More", ICML 2021, sec. 4 and
        algorithm 1.
    """

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        transfer: Transfer | None = None,
        prior: Annotated[str, one_of("mean", "count")] = "mean",
        initial_count: PositiveFloat = 1.0,
        reset_prior: bool = False,
        likelihood: Annotated[
            str, one_of("mean_prob", "product")
        ] = "mean_prob",
        dropout_masks: Annotated[
            str, one_of("independent", "common")
        ] = "independent",
        groups: Sequence | None = None,
        fixed_configuration: str | int | None = None,
        fixed_probability: Annotated[float, within("(0, 1]")] = 0.9,
        **options: Any,
    ):
        super().__init__(training, transfer, **options)
        self.prior_mode = prior
        self.initial_count = initial_count
        self.reset_prior = reset_prior
        self.likelihood = likelihood
        self.dropout_masks = dropout_masks
        self.groups = groups
        self.fixed_configuration = fixed_configuration
        self.fixed_probability = fixed_probability

    # Set-up

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        backbone, depth = self._network.backbone, len(self.layers)
        # Before anything that is as large as the number of configurations.
        require_memory(
            tree_bytes(backbone, spec.batch_size, self.groups),
            2 ** len(layer_groups(self.groups, depth)),
            spec.batch_size,
        )
        self.configurations = configurations(depth, self.groups)
        self.names = [configuration_name(c) for c in self.configurations]
        self.metric_shapes = {"accuracy": (), "posterior": (len(self.names),)}
        self._fixed = self._fixed_posterior()
        self._tree = prefix_tree(backbone, self.groups)
        count = (len(self.names),)
        self.prior = statistic(np.zeros(count), "prior")
        self._sums = statistic(np.zeros(count), "posterior_sums")
        self._steps = statistic(np.zeros(()), "posterior_steps")
        self.state += [self.prior, self._sums, self._steps]

    def _fixed_posterior(self):
        """The posterior of all steps `(C,)`, None for a search."""
        if self.fixed_configuration is None:
            return None
        sharing = transfer_configuration(
            self.fixed_configuration, len(self.layers), "fixed_configuration"
        )
        name, count = configuration_name(sharing), len(self.names)
        require(
            name in self.names,
            "fixed_configuration",
            f"must be constant inside each group of layers {self.groups}",
            self.fixed_configuration,
        )
        require(
            self.fixed_probability > 1.0 / count,
            "fixed_probability",
            f"must exceed 1/{count}, so that the fixed one of {count} "
            "configurations wins",
            self.fixed_probability,
        )
        rest = (1.0 - self.fixed_probability) / (count - 1)
        posterior = np.full(count, rest, np.float32)
        posterior[self.names.index(name)] = self.fixed_probability
        return posterior

    # One task

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        for variable, value in zip(
            (self.prior, self._sums, self._steps), self._no_evidence()
        ):
            variable.assign(value)

    def resume_task(self, task: Task, values: Values) -> None:
        super().resume_task(task, values)
        chosen = self.names.index(self.choice.name)
        self.prior.assign(np.eye(len(self.names))[chosen])

    def chosen_step(self, batch: Batch) -> Update:
        update = super().chosen_step(batch)
        certain = tf.convert_to_tensor(self.prior) / batch.replicas
        return update._replace(metrics={**update.metrics, "posterior": certain})

    def train_step(self, batch: Batch) -> Update:
        prior, sums, steps = self._statistics_before(batch)
        count = len(self.names)
        size = tf.cast(batch.size, tf.float32)
        with tf.GradientTape() as tape:
            images = self.training.augmented(batch)
            features = self._tree(images, training=True)
            with tape.stop_recording():  # E-step, without dropout
                posterior = self._posterior(batch, features, prior)
            # M-step: sum_c g_c grad L_c = grad of sum_c g_c L_c.
            mask = self._mask(batch, features.shape[-1])
            logits = self.head(features, mask)
            losses = cross_entropy(tf.tile(batch.labels, [count]), logits)
            losses = tf.reduce_sum(tf.reshape(losses, [count, -1]), 1) / size
            loss = tf.reduce_sum(posterior * losses)
            loss += self._penalty(posterior) / batch.replicas
        gradients = tape.gradient(loss, values_of(self._trained))
        best = tf.reshape(logits, [count, -1, logits.shape[-1]])
        best = tf.gather(best, tf.argmax(prior))
        right = tf.argmax(best, -1, output_type=tf.int32) == batch.labels
        return Update(
            loss=loss,
            metrics={
                "accuracy": tf.reduce_sum(tf.cast(right, tf.float32)) / size,
                "posterior": posterior / batch.replicas,
            },
            gradients=[("main", gradients, values_of(self._trained))],
            after_apply=lambda: self._count(posterior, sums, steps),
        )

    def _posterior(self, batch, features, prior):
        """g_c over the global batch, `(C,)`."""
        if self._fixed is not None:
            return tf.constant(self._fixed)
        logits = self.head(features)
        count = len(self.names)
        log_probs = -cross_entropy(tf.tile(batch.labels, [count]), logits)
        log_probs = tf.reshape(log_probs, [count, -1])
        if self.likelihood == "product":
            evidence = batch.sum_over_replicas(tf.reduce_sum(log_probs, 1))
            return tf.nn.softmax(tf.math.log(prior) + evidence)
        likelihood = batch.sum_over_replicas(
            tf.reduce_sum(tf.exp(log_probs), 1)
        ) / tf.cast(batch.size, tf.float32)
        weighted = prior * likelihood
        return weighted / (tf.reduce_sum(weighted) + 1e-30)

    def _penalty(self, posterior):
        """sum_l q_l penalty_l, q_l = posterior that layer l is shared."""
        shared = tf.linalg.matvec(
            self.configurations.astype(np.float32), posterior, transpose_a=True
        )
        # The backbone's own regularisers do not depend on the choice.
        total = self.backbone_penalty()
        total = tf.zeros(()) if total is None else total
        for depth, penalty in enumerate(self.transfer.penalties(self.layers)):
            if penalty is not None:
                total += shared[depth] * penalty
        return total

    def _mask(self, batch, features):
        rate, count = self.training.dropout, len(self.names)
        if self.dropout_masks == "independent" or rate == 0.0:
            return batch.dropout_mask(rate, features, count)
        return tf.tile(batch.dropout_mask(rate, features), [count, 1])

    def _no_evidence(self):
        """Prior, sums and steps before the first batch."""
        count = len(self.names)
        if self._fixed is not None:
            return self._fixed, np.zeros(count, np.float32), np.float32(0.0)
        start = self.initial_count if self.prior_mode == "count" else 0.0
        return (
            np.full(count, 1.0 / count, np.float32),
            np.full(count, start, np.float32),
            np.float32(start * count),
        )

    def _statistics_before(self, batch):
        now = (self.prior.value, self._sums.value, self._steps.value)
        if not self.reset_prior:
            return tuple(tf.convert_to_tensor(v) for v in now)
        first = tf.equal(batch.step, 0)
        return tuple(
            tf.where(first, start, value)
            for start, value in zip(self._no_evidence(), now)
        )

    def _count(self, posterior, sums, steps):
        if self._fixed is not None:
            return
        if self.prior_mode == "count":
            posterior = tf.one_hot(tf.argmax(posterior), len(self.names))
        sums, steps = sums + posterior, steps + 1.0
        self._sums.assign(sums)
        self._steps.assign(steps)
        self.prior.assign(sums / steps)

    # The choice

    @property
    def best(self) -> Sequence[bool]:
        return self.configurations[int(np.argmax(self.prior.numpy()))]

    def bank_notes(self) -> dict[str, Any]:
        prior = self.prior.numpy()
        return {
            **super().bank_notes(),
            "prior": {n: float(p) for n, p in zip(self.names, prior)},
        }

    def diagnostics(self) -> dict[str, tuple[Any, Any]]:
        return {"prior": (self.prior.numpy(), self.names)}

    def metric_labels(self) -> dict[str, Any]:
        return {"posterior": self.names}
