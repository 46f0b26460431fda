"""Classifiers that follow from sums over the features of a frozen backbone."""

from __future__ import annotations

import abc
import typing

import numpy as np
import tensorflow as tf
from absl import logging

from tfcl.arguments import checked
from tfcl.layers.task_head import TaskHead
from tfcl.methods.shared_output import SharedOutputMethod
from tfcl.methods.work import Accumulate, Validate
from tfcl.models.variables import statistic

if typing.TYPE_CHECKING:
    from typing import Any

    import keras

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.work import Phases
    from tfcl.models.network import TaskNetwork
    from tfcl.types import Tensor


_BATCH = 64  # Images per step, at least.
_UNSEEN = -1e9  # Logit of a class without examples: never the answer.


class FeatureStatistics(SharedOutputMethod):
    """Learns a task by one pass over its data, without any gradient.

    The pass adds up what the subclass asks of the features, class by class;
    the output layer is computed of the sums over all tasks so far. So nothing
    is forgotten, and the order of the tasks does not matter.

    Args:
        training: `TaskTraining`, of which the backbone counts alone; give it
            one that is pretrained.
        heads: As of `SharedBackboneMethod`.
        **options: Arguments of `TaskTraining`, in place of `training`.
    """

    keeps_shared = True
    begins_plain = True
    shared_in_training = False

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        heads: str | None = None,
        **options: Any,
    ):
        super().__init__(training, heads, **options)

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        if not self.training.pretrained:
            logging.warning(
                "%s never trains its backbone, whose weights are drawn at "
                "random: give one that is pretrained.",
                self.name,
            )
        features = self._network.backbone.output_shape[-1]
        shapes = self.sum_shapes(self.head.num_outputs, features)
        # Of all tasks, and of the pass over one.
        self.sums, self._new = (
            {
                name: statistic(np.zeros(shape), f"{kind}_{name}", "float64")
                for name, shape in shapes.items()
            }
            for kind in ("all", "new")
        )
        self.state = [*self.state, *self.sums.values()]

    def make_head(self, spec: StreamSpec) -> TaskHead:
        return TaskHead(
            spec.max_classes,
            len(self._owner),
            kernel_initializer="zeros",
            bias_initializer="zeros",
            name="head",
        )

    def divide(self, network: TaskNetwork) -> None:
        # No optimizer has anything to do.
        network.backbone.trainable = False
        network.head.trainable = False
        super().divide(network)

    @property
    def widening(self) -> list[keras.Variable]:
        per_class = [
            variable
            for variable in self.sums.values()
            if variable.shape[0] == self.head.num_outputs
        ]
        return [*super().widening, *per_class]

    def phases(self, task: Task) -> Phases:
        if self.seen_again:  # Its data are in the sums.
            return
        yield Accumulate(
            "statistics",
            self.sum_step,
            list(self._new.values()),
            batch_size=max(_BATCH, self.spec.batch_size),
            then=self._take_in,
        )
        yield Validate("validation")

    def sum_step(self, batch: Batch) -> list[Tensor]:
        """What a batch adds to the sums of its classes."""
        features = self._network.backbone(batch.images, training=False)
        features = tf.cast(features, tf.float64)
        columns = self.columns_of(batch.labels)
        one = tf.one_hot(columns, self.head.num_outputs, dtype=tf.float64)
        found = self.sums_of(features, one)
        return [found[name] for name in self._new]

    def _take_in(self):
        """Adds a task's sums to those of all, and solves for the head."""
        for name, variable in self.sums.items():
            variable.assign(variable.numpy() + self._new[name].numpy())
        sums = {name: variable.numpy() for name, variable in self.sums.items()}
        kernel, bias = self.solved(sums)
        bias[sums["counts"] == 0] = _UNSEEN
        self.head.kernels[-1].assign(kernel)
        self.head.biases[-1].assign(bias)

    @abc.abstractmethod
    def sum_shapes(
        self, classes: int, features: int
    ) -> dict[str, tuple[int, ...]]:
        """`{name: shape}` of the sums; "counts" and "sums" among them."""

    @abc.abstractmethod
    def sums_of(self, features: Tensor, one: Tensor) -> dict[str, Tensor]:
        """Traced: the sums of a batch.

        Args:
            features: float64 `(b, d)`.
            one: Columns of the classes, one-hot, float64 `(b, classes)`.
        """

    @abc.abstractmethod
    def solved(
        self, sums: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The output layer of sums over all tasks: `(d, classes)` and
        `(classes,)`."""


def class_means(sums: dict[str, np.ndarray]) -> np.ndarray:
    """Mean features of each class, `(classes, d)`; zeros without examples."""
    return sums["sums"] / np.maximum(sums["counts"], 1.0)[:, None]
