"""GPM: steps are taken where old tasks have no inputs."""

from __future__ import annotations

import typing
from collections.abc import Sequence

import gin
import keras
import numpy as np
import tensorflow as tf

from tfcl.arguments import (
    NonNegativeFloat,
    PositiveInt,
    checked,
    require,
)
from tfcl.layers.fast.small_map_conv2d import SmallMapConv2D
from tfcl.methods.base import Update, mean_accuracy, trainable, values_of
from tfcl.methods.regularization.drawn_examples import drawn_examples
from tfcl.methods.shared_backbone import SharedBackboneMethod
from tfcl.methods.work import Accumulate
from tfcl.models.running_statistics import running_statistics
from tfcl.models.surgery.kernel_inputs import kernel_inputs, kernel_rows
from tfcl.models.variables import leaf_layers, statistic

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.work import Phases
    from tfcl.types import Tensor


# Of the energy of a layer's inputs: below that, float32 sums are rounding.
_ROUNDING = 1e-6


@gin.configurable
class GPM(SharedBackboneMethod):
    """Gradient projection memory.

    A step that changes a kernel W only across all inputs x that old tasks have
    at its layer leaves `W x`, and with it their answers, as they were. So each
    layer has a memory M of orthonormal bases of these inputs:

        dL/dW <- dL/dW - M M^T dL/dW       for every task after the first,
        M <- [M, first k left singular vectors of R - M M^T R],

    where the columns of R are inputs of the layer (of a convolution, the
    patches under its kernel) for images of the task that has ended, and k is
    the smallest for which `||M M^T R||^2 + sum_i<=k sigma_i^2` reaches the
    threshold times `||R||^2`. Kept is `M M^T` alone, `(d, d)` per layer with d
    inputs, however many tasks there are.

    The kernels are those of Conv2D (without groups) and Dense in the
    backbone, and of the head if it is for all tasks. All else that tasks
    share (biases, norms) is trained by the first task, then frozen; batch
    norms then use their running statistics.

    Args:
        training: `TaskTraining`; weight decay takes part in the projected
            gradient.
        threshold: epsilon_th, in (0, 1]: the share of the inputs' energy that
            is kept from change. One number, or one per kernel from the
            input on.
        threshold_increase: What every further task adds to it, up to 1.
        examples: n_s, training images that give R; None takes all.
        heads: As of `SharedBackboneMethod`.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Raises:
        ValueError: If a threshold is out of range. At set-up, if the backbone
            trains matrices of other layers, or if there are not as many
            thresholds as kernels.

    Note:
        The paper steps by plain SGD. An optimizer that scales elements apart
        (Adam, RMSprop) would leave the allowed directions, so the change that
        it makes is projected as well; for SGD, with momentum too, that
        changes nothing. M comes from the eigenvectors of `R R^T`, which are
        the singular vectors of R.

    Reference:
        Saha, Garg, Roy, "Gradient projection memory for continual learning",
        ICLR 2021, eq. 5 to 9 and algorithm 1. One head for all tasks is its
        setting for permuted MNIST.
    """

    decays_weights = True

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        threshold: float | Sequence[float] = 0.97,
        threshold_increase: NonNegativeFloat = 0.0,
        examples: PositiveInt | None = 125,
        heads: str | None = None,
        **options: Any,
    ):
        super().__init__(training, heads, **options)
        require(
            all(0.0 < each <= 1.0 for each in np.ravel(threshold)),
            "threshold",
            "must be in (0, 1]",
            threshold,
        )
        self.threshold = threshold
        self.threshold_increase = threshold_increase
        self.examples = examples

    # Set-up

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        backbone = self._network.backbone
        self._layers = projected_layers(backbone)
        with running_statistics(backbone):
            self.require_still(backbone, [v.variable for v in self.shared])
        self._inputs = kernel_inputs(backbone, self._layers)
        kernels = [layer.kernel for layer in self._layers]
        if not self.needs_task:
            kernels += self.head.kernels
        owned = {id(each.variable): each for each in self.shared}
        self._kernels = [owned[id(kernel)] for kernel in kernels]
        self._own = trainable(self.slot)
        counts = (1, len(kernels))
        require(
            np.size(self.threshold) in counts,
            "threshold",
            "must be one number, or one for each of "
            f"{[each.name for each in self._kernels]}",
            self.threshold,
        )
        depths = [int(np.prod(kernel.shape[:-1])) for kernel in kernels]
        # M M^T; and R R^T, which a pass fills that begins anew after a kill.
        self.projections, self._products = (
            [statistic(np.zeros((depth, depth)), name) for depth in depths]
            for name in ("projection", "input_products")
        )
        self.state += self.projections

    # One task after another

    def phases(self, task: Task) -> Phases:
        phase = self.training.phase()
        if task.earlier or self.seen_again:
            phase.steps = (self.projected_step,)
        yield phase
        yield Accumulate(
            "representations",
            self.input_products,
            self._products,
            data=drawn_examples(
                task.train,
                self.examples,
                *(self.seed, "representations", task.index),
            ),
            then=lambda: self._remember(len(task.earlier)),
        )

    def projected_step(self, batch: Batch) -> Update:
        """A step that leaves alone what old tasks need."""
        trained = [*self._kernels, *self._own]
        variables, kernels = values_of(trained), values_of(self._kernels)
        with tf.GradientTape() as tape:
            loss, logits = self.objective(batch, features=self._still_features)
        gradients = self.training.decayed(
            trained, tape.gradient(loss, variables), batch.replicas
        )
        before = [tf.identity(kernel) for kernel in kernels]

        def stay_away():
            for kernel, old, projection in zip(
                kernels, before, self.projections
            ):
                change = _projected(kernel - old, projection)
                kernel.assign(old + change)

        away = [_projected(*p) for p in zip(gradients, self.projections)]
        return Update(
            loss=loss,
            metrics={"accuracy": mean_accuracy(batch, logits)},
            gradients=[("main", [*away, *gradients[len(away) :]], variables)],
            after_apply=stay_away,
        )

    def _still_features(self, images, training):
        """As the features of old tasks are: batch norms do not learn."""
        with running_statistics(self._network.backbone):
            return self.features(images, training)

    def input_products(self, batch: Batch) -> list[Tensor]:
        """This replica's part of `R R^T` for every kernel."""
        rows = [
            tf.concat([kernel_rows(layer, each) for each in inputs], axis=0)
            for layer, inputs in zip(self._layers, self._inputs(batch.images))
        ]
        if not self.needs_task:
            features = self._network.backbone(batch.images, training=False)
            rows += self.head.layer_inputs(tf.cast(features, tf.float32))
        return [tf.matmul(each, each, transpose_a=True) for each in rows]

    def _remember(self, earlier):
        """Takes the inputs of a task with so many before it into M M^T."""
        increase = self.threshold_increase * earlier
        thresholds = np.broadcast_to(self.threshold, len(self.projections))
        for projection, product, threshold in zip(
            self.projections, self._products, thresholds
        ):
            value = extended(
                projection.numpy(),
                product.numpy(),
                min(threshold + increase, 1),
            )
            projection.assign(value)

    def bank_notes(self) -> dict[str, Any]:
        """Bases and inputs of every kernel."""
        return {
            "bases": {
                owned.name: [round(np.trace(p.numpy())), p.shape[0]]
                for owned, p in zip(self._kernels, self.projections)
            }
        }


def extended(
    projection: np.ndarray, product: np.ndarray, threshold: float
) -> np.ndarray:
    """`M M^T` with the bases that a task adds (Saha et al., eq. 8 and 9).

    Args:
        projection: M M^T so far, `(d, d)`.
        product: R R^T of the task, `(d, d)`.
        threshold: Share of ||R||^2 that the bases must hold.

    Returns:
        float64 `(d, d)`.
    """
    product = product.astype(np.float64)
    away = np.eye(len(product)) - projection
    rest = away @ product @ away
    energies, vectors = np.linalg.eigh(rest)
    # The largest first; squares of singular values, but for rounding.
    energies, vectors = np.maximum(energies[::-1], 0.0), vectors[:, ::-1]
    whole = np.trace(product)
    held = whole - np.trace(rest) + np.cumsum([0.0, *energies])
    count = int(np.searchsorted(held, threshold * whole))
    count = min(count, int(np.sum(energies > _ROUNDING * whole)))
    bases = vectors[:, :count]
    return projection + bases @ bases.T


def projected_layers(backbone: keras.Model) -> list[keras.layers.Layer]:
    """The layers whose kernels are trained, all of them of a kind known here.

    Raises:
        ValueError: With the layers whose matrices are trained otherwise.
    """
    known, others = [], []
    for layer in leaf_layers(backbone):
        matrices = [v for v in layer.trainable_weights if len(v.shape) > 1]
        if not matrices:
            continue
        # An adapter of low rank, too, is a matrix.
        if _is_plain(layer) and all(v is layer.kernel for v in matrices):
            known.append(layer)
        else:
            others.append(f"{layer.name} ({type(layer).__name__})")
    require(
        not others,
        "TaskTraining.backbone",
        "must train no matrices for GPM but the kernels of Dense and of Conv2D "
        "without groups, channels last. Use a backbone with such layers, or "
        "freeze the others (layer.trainable = False)",
        others,
    )
    return known


def _is_plain(layer):
    if type(layer) is keras.layers.Dense:
        return True
    return (
        type(layer) in (keras.layers.Conv2D, SmallMapConv2D)
        and layer.groups == 1
        and layer.data_format == "channels_last"
    )


def _projected(change, projection):
    """`G - M M^T G` of a kernel's gradient or change."""
    rows = tf.reshape(change, (-1, change.shape[-1]))
    rows -= tf.matmul(tf.convert_to_tensor(projection), rows)
    return tf.reshape(rows, change.shape)
