"""How tasks on faces are trained: persons by angles, rare classes by weight."""

from __future__ import annotations

import typing

import gin
import numpy as np
import tensorflow as tf

from tfcl.arguments import checked, require
from tfcl.layers.faces.angular_softmax import plain_weight
from tfcl.layers.faces.verification_head import VerificationHead
from tfcl.layers.weighted_cross_entropy import (
    class_weights,
    weighted_cross_entropy,
)
from tfcl.methods.task_training import TaskTraining
from tfcl.models.variables import statistic

if typing.TYPE_CHECKING:
    from collections.abc import Mapping

    import keras

    from tfcl.data.task import StreamSpec, Task
    from tfcl.layers.task_head import TaskHead
    from tfcl.methods.base import Batch
    from tfcl.types import Tensor


@gin.configurable
class FaceTraining(TaskTraining):
    """`TaskTraining` for streams with face verification.

    Tasks of `verification` learn to tell persons apart by the angles of an
    embedding (A-Softmax); all others are ordinary classification. Tasks of
    `class_weighted` weigh an example by `(sum(n) - n) / n` of its class.

    Args:
        verification: Names of the tasks by angles.
        class_weighted: Names of the tasks with weighted classes.
        embedding_units: Width of the embedding.
        margin: m of the angular margin.
        plain_start, plain_decay, plain_least: lambda of the plain logit,
            `max(least, start / (1 + decay step))`, where the steps count from
            the begin of a phase.
        **kwargs: Of `TaskTraining`; without hidden layers.

    Raises:
        ValueError: If a name is none of the stream's, or an argument is out
            of range.

    Reference:
        Hung et al., NeurIPS 2019, experiment 3 and its program; Liu et al.,
        "SphereFace", CVPR 2017.
    """

    own_losses = True

    @checked
    def __init__(
        self,
        verification: tuple | list,
        class_weighted: tuple | list = (),
        embedding_units: int = 512,
        margin: int = 4,
        plain_start: float = 1500.0,
        plain_decay: float = 0.1,
        plain_least: float = 5.0,
        hidden_units: tuple = (),
        **kwargs,
    ):
        super().__init__(hidden_units=hidden_units, **kwargs)
        require(
            not hidden_units,
            "hidden_units",
            "must be empty: the embedding is the head's hidden layer",
            hidden_units,
        )
        self.verification = tuple(verification)
        self.class_weighted = tuple(class_weighted)
        self.embedding_units = embedding_units
        self.margin = margin
        self.plain = (plain_start, plain_decay, plain_least)
        self._weights: keras.Variable | None = None

    def task_head(self, spec: StreamSpec) -> TaskHead:
        for name in ("verification", "class_weighted"):
            unknown = sorted(set(getattr(self, name)) - set(spec.task_names))
            require(
                not unknown,
                name,
                f"must name tasks of the stream: {', '.join(spec.task_names)}",
                unknown,
            )
        by_angles = [name in self.verification for name in spec.task_names]
        counts = np.array(spec.class_counts)
        plain, verified = (
            int(max(counts[np.equal(by_angles, kind)], default=1))
            for kind in (False, True)
        )
        if self._weights is None:
            # Set anew by every `begin_task`: nothing for a checkpoint.
            self._weights = statistic(np.ones(max(counts)), "class_weights")
        return VerificationHead(
            plain,
            verified,
            self.embedding_units,
            self.margin,
            **self._head_initializers(),
            name="head",
        )

    def begin_task(self, head: TaskHead, task: Task) -> None:
        first = 0
        if task.name in self.verification:
            first = head.plain_classes
        head.use_columns(range(first, first + task.num_classes))
        assert self._weights is not None, "`task_head` has made them"
        weights = np.ones(self._weights.shape)
        if task.name in self.class_weighted:
            counts = np.bincount(task.train.labels, minlength=task.num_classes)
            weights[: task.num_classes] = class_weights(counts)
        self._weights.assign(weights)

    def loss(
        self,
        batch: Batch,
        logits: Tensor,
        head: TaskHead,
        features: Tensor,
        optimizers: Mapping[str, keras.Optimizer],
    ) -> Tensor:
        step = tf.convert_to_tensor(optimizers["main"].iterations) + 1
        logits = head.with_margin(
            features, batch.labels, logits, plain_weight(step, *self.plain)
        )
        return weighted_cross_entropy(
            batch.labels,
            logits,
            tf.convert_to_tensor(self._weights),
            batch.sum_over_replicas,
        )
