"""WA: new classes' weights are brought to the length of old ones."""

from __future__ import annotations

import typing
from typing import Annotated

import gin
import numpy as np
import tensorflow as tf

from tfcl.arguments import PositiveInt, above, checked
from tfcl.methods.base import cross_entropy
from tfcl.methods.former_network import distillation
from tfcl.methods.replay.exemplar_replay import HERDING, ExemplarReplay
from tfcl.optimizers.proximal import with_proximal_step

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.task_training import TaskTraining
    from tfcl.types import Tensor


@gin.configurable
class WA(ExemplarReplay):
    """Knowledge distillation on exemplars, then weight aligning.

    A task is learned from its own data and the exemplars of earlier classes,

        L = lambda * L_KD + (1 - lambda) * CE,
        L_KD = - sum over old classes k of q_k log p_k,

    lambda = old classes / classes seen, CE over all classes seen, p and q the
    softmax over the old ones of logits / T, now and from before. That favours
    new classes, whose columns of the output layer are longer. So when the
    task has ended,

        w_new <- gamma * w_new,  gamma = mean |w_old| / mean |w_new|.

    Lengths say which class is favoured only where weights have one sign: the
    kernel of the output layer is kept from falling below 0 after every step.

    Args:
        training: `TaskTraining`.
        capacity: K, exemplars of all classes together.
        temperature: T.
        align: False leaves the columns as they are: KD alone.
        positive: Whether negative weights of the output layer become 0 (weight
            clipping).
        selection: "herding" or "random", see `ExemplarReplay`.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Raises:
        ValueError, UserError: As of `ExemplarReplay`.

    Reference:
        Zhao et al., "Maintaining Discrimination and Fairness in Class
        Incremental Learning", CVPR 2020, eq. 1 to 9.
    """

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        capacity: PositiveInt = 2000,
        temperature: Annotated[float, above(0)] = 2.0,
        align: bool = True,
        positive: bool = True,
        selection: str = HERDING,
        **options: Any,
    ):
        super().__init__(training, capacity, selection, **options)
        self.temperature = temperature
        self.align = align
        self.positive = positive
        self._gamma: float | None = None

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        if self.positive:
            kernel = self.head.kernels[-1]
            with_proximal_step(
                self.optimizers["main"],
                [
                    _positive if owned.variable is kernel else None
                    for owned in self._trained
                ],
            )

    def losses(self, labels: Tensor, outputs: Tensor, before: Tensor) -> Tensor:
        old, seen = self.old_and_seen()
        new = cross_entropy(labels, tf.where(seen, outputs, -1e9))
        q, p = (tf.where(old, each, -1e9) for each in (before, outputs))
        kept = distillation(q, p, self.temperature)
        share = _count(old) / _count(seen)
        return share * kept + (1.0 - share) * new

    def end_task(self, task: Task) -> None:
        super().end_task(task)
        old, seen = self.class_counts(task)
        self._gamma = None
        if not (self.align and old):
            return
        kernel = self.head.kernels[-1].numpy()
        norms = np.linalg.norm(kernel, axis=0)
        gamma = norms[:old].mean() / norms[old:seen].mean()
        kernel[:, old:seen] *= gamma
        self.head.kernels[-1].assign(kernel)
        self._gamma = float(gamma)

    def bank_notes(self) -> dict[str, Any]:
        notes = super().bank_notes()
        if self._gamma is not None:
            notes["gamma"] = self._gamma
        return notes


def _positive(values, rate):
    del rate
    return tf.maximum(values, 0.0)


def _count(columns):
    return tf.reduce_sum(tf.cast(columns, tf.float32))
