"""HAT: every task learns which units it uses, and nearly freezes them."""

from __future__ import annotations

import contextlib
import typing
from typing import Annotated

import gin
import numpy as np
import tensorflow as tf

from tfcl.arguments import above, at_least, checked
from tfcl.methods.base import steps_per_epoch, values_of
from tfcl.methods.network_method import NetworkMethod, added
from tfcl.models.surgery.attended import attended
from tfcl.models.variables import statistic
from tfcl.tapes.soft_mask_gradient_tape import SoftMaskGradientTape

if typing.TYPE_CHECKING:
    from typing import Any

    import keras

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch, Update
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.work import Phases
    from tfcl.models.network import TaskNetwork
    from tfcl.types import Tensor


_LARGEST_EMBEDDING = 6.0
_LARGEST_EXPONENT = 50.0


@gin.configurable
class HAT(NetworkMethod):
    """Hard attention to the task.

    Every unit has a gate `a = sigmoid(s e)` with an embedding e of the task.
    In an epoch s grows from 1 / `largest_scale` to `largest_scale`, at which
    the network serves. The gradient of a weight between units i and j is
    multiplied by `1 - min(A_i, A_j)`, where A is the largest gate that any
    earlier task had. A regulariser asks for few gates that are not yet used:
    `strength * sum a (1 - A) / sum (1 - A)`.

    Args:
        training: `TaskTraining`; its backbone must be a chain without
            normalisation.
        strength: c.
        largest_scale: s_max.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Note:
        Old logits change as far as gates differ from 0 and 1.

    Reference:
        Serra, Suris, Miron, Karatzoglou, "Overcoming catastrophic forgetting
        with hard attention to the task", ICML 2018: eq. 1 to 5; embeddings
        stay within 6, as in its appendix.
    """

    of_the_task = "the attention and the head"

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        strength: Annotated[float, at_least(0)] = 0.75,
        largest_scale: Annotated[float, above(1)] = 400.0,
        **options: Any,
    ):
        super().__init__(training, **options)
        self.strength = strength
        self.largest_scale = largest_scale

    def make_backbone(self, spec: StreamSpec) -> keras.Model:
        backbone, self._hidden = attended(
            super().make_backbone(spec), self.largest_scale
        )
        return backbone

    @property
    def attention(self) -> Any:
        """The `HardAttention` layers, input to output."""
        return [entry.gates for entry in self._hidden]

    def divide(self, network: TaskNetwork) -> None:
        own = {id(gates.embedding) for gates in self.attention}
        backbone = network.backbone_variables
        self.shared = [v for v in backbone if id(v.variable) not in own]
        embeddings = [v for v in backbone if id(v.variable) in own]
        self.slot = embeddings + network.head_variables

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        self.used = [
            statistic(np.zeros(gates.embedding.shape), "used")
            for gates in self.attention
        ]
        self.plasticity = [
            statistic(np.ones(owned.variable.shape), "plasticity")
            for owned in self.shared
        ]
        self.state = [*self.state, *self.used, *self.plasticity]
        # Set before every phase, so never restored.
        self._last_step = statistic(1, "last_step", "int32")

    def phases(self, task: Task) -> Phases:
        phase = self.training.phase()
        size = phase.batch_size or task.batch_size or self.spec.batch_size
        steps = steps_per_epoch(len(task.train), size, phase.drop_remainder)
        self._last_step.assign(max(steps - 1, 1))
        yield phase

    def _scale(self, batch):
        """s of a step (eq. 3)."""
        part = tf.cast(batch.step, tf.float32)
        part /= tf.cast(tf.convert_to_tensor(self._last_step), tf.float32)
        least = 1.0 / self.largest_scale
        return least + (self.largest_scale - least) * part

    def tape(self, batch: Batch) -> Any:
        del batch
        pairs = zip(values_of(self.shared), self.plasticity)
        return SoftMaskGradientTape(plasticity=list(pairs))

    def train_step(self, batch: Batch) -> Update:
        scale = self._scale(batch)
        with _scaled(self.attention, scale):
            update = super().train_step(batch)
        embeddings = [gates.embedding.value for gates in self.attention]
        own = {id(embedding) for embedding in embeddings}
        ((name, gradients, variables),) = update.gradients
        gradients = [
            self._compensated(g, v, scale) if id(v) in own else g
            for g, v in zip(gradients, variables)
        ]

        def clamp():
            for gates in self.attention:
                limits = (-_LARGEST_EMBEDDING, _LARGEST_EMBEDDING)
                value = tf.clip_by_value(gates.embedding.value, *limits)
                gates.embedding.assign(value)

        return update._replace(
            gradients=[(name, gradients, variables)], after_apply=clamp
        )

    def _compensated(self, gradient, embedding, scale):
        """The gradient as if the gates had had scale 1 (eq. 4)."""
        exponent = tf.clip_by_value(
            scale * embedding, -_LARGEST_EXPONENT, _LARGEST_EXPONENT
        )
        above = self.largest_scale * (tf.cosh(exponent) + 1.0)
        return gradient * above / (scale * (tf.cosh(embedding) + 1.0))

    def penalty(self) -> Tensor | None:
        free = [1.0 - used.value for used in self.used]
        taken = sum(
            tf.reduce_sum(gates.gates() * each)
            for gates, each in zip(self.attention, free)
        )
        whole = sum(tf.reduce_sum(each) for each in free)
        share = tf.math.divide_no_nan(taken, whole)
        return added([super().penalty(), self.strength * share])

    def end_task(self, task: Task) -> None:
        for used, gates in zip(self.used, self.attention):
            used.assign(tf.maximum(used.value, gates.gates()))
        by_variable = {}
        amounts = dict(zip(map(id, self.attention), self.used))
        for layer, below, gates in self._hidden:
            units = amounts[id(gates)].numpy()
            rows = None if below is None else amounts[id(below)].numpy()
            for variable in layer.trainable_weights:
                shape = tuple(variable.shape)
                by_variable[id(variable)] = 1.0 - _between(rows, units, shape)
        for owned, plasticity in zip(self.shared, self.plasticity):
            plasticity.assign(by_variable[id(owned.variable)])

    def bank_notes(self) -> dict[str, Any]:
        notes = {"units": {}, "units_used": {}}
        for used, gates in zip(self.used, self.attention):
            name = gates.name.removesuffix("_attention")
            notes["units"][name] = float(np.mean(gates.gates() > 0.5))
            notes["units_used"][name] = float(np.mean(used.numpy() > 0.5))
        return notes


def _between(below, units, shape):
    """`min(A_below, A_units)` in the shape of a kernel or bias."""
    if len(shape) == 1 or below is None:
        return np.broadcast_to(units, shape)
    # Rows of a flattened map are (positions, units below), units fastest.
    rows = np.tile(below, shape[-2] // len(below))
    return np.broadcast_to(np.minimum(rows[:, None], units), shape)


@contextlib.contextmanager
def _scaled(attention, scale):
    """Another scale while a step is traced."""
    before = [gates.scale for gates in attention]
    for gates in attention:
        gates.scale = scale
    try:
        yield
    finally:
        for gates, value in zip(attention, before):
            gates.scale = value
