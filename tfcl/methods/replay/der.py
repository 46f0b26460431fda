"""Dark experience replay: what the network said is replayed with the images."""

from __future__ import annotations

import typing

import gin
import tensorflow as tf

from tfcl.arguments import NonNegativeFloat, checked
from tfcl.methods.base import (
    Update,
    cross_entropy,
    mean_accuracy,
    values_of,
)
from tfcl.methods.network_method import added
from tfcl.methods.shared_output import SharedOutputMethod
from tfcl.replay.buffer import ReplayBuffer, check_replay
from tfcl.replay.table import Column

if typing.TYPE_CHECKING:
    from typing import Any

    import keras

    from tfcl.data.task import StreamSpec
    from tfcl.methods.base import Batch
    from tfcl.methods.task_training import TaskTraining
    from tfcl.types import Tensor


@gin.configurable
class DER(SharedOutputMethod):
    """Dark experience replay: old answers to old images are kept.

    A reservoir takes in every training example with z, the logits that the
    network in training gave it. Each step draws (x', z') from it:

        L = CE(y, h(x)) + alpha * mean over logits (h(x') - z')^2.

    z are all columns of the output layer, those of other tasks and of classes
    to come, too. Images are kept as they come and augmented anew at every
    replay. It does not matter where a task ends.

    Args:
        training: `TaskTraining`.
        buffer: `ReplayBuffer`; None makes one of 200 examples. It is in every
            checkpoint, with 4 bytes per channel of a pixel.
        alpha: Weight of the old answers.
        replay_size: Examples replayed per step and term of the loss; as many
            as there are while the buffer has fewer.
        heads: As of `SharedBackboneMethod`.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Raises:
        ValueError: If an argument is out of range, or the buffer is smaller
            than `replay_size`. In the first step, on several replicas.

    Reference:
        Buzzega et al., "Dark Experience for General Continual Learning: a
        Strong, Simple Baseline", NeurIPS 2020, eq. 5 and algorithm 1.
    """

    decays_weights = True

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        buffer: ReplayBuffer | None = None,
        alpha: NonNegativeFloat = 0.3,
        replay_size: int = 32,
        heads: str | None = None,
        **options: Any,
    ):
        super().__init__(training, heads, **options)
        self.buffer = ReplayBuffer() if buffer is None else buffer
        check_replay(self.buffer.capacity, "replay_size", replay_size)
        self.alpha = alpha
        self.replay_size = replay_size

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        columns, shades = self.head.num_outputs, spec.image_shape[-1:]
        kept = {
            "images": Column(spec.image_shape),
            "labels": Column((), "int32"),  # Columns of the output layer.
            "logits": Column((columns,)),
            # What augmentations fill with; tasks may differ in it.
            "black": Column(shades),
            "white": Column(shades),
        }
        self.buffer.build(kept, columns)
        self.state = [*self.state, *self.buffer.variables]

    @property
    def widening(self) -> list[keras.Variable]:
        return [*super().widening, self.buffer["logits"]]

    def train_step(self, batch: Batch) -> Update:
        self._check_replicas(batch)
        storing, *seeds = _seeds(batch.seed, 3)
        variables = values_of(self._trained)
        with self.tape(batch) as tape:
            outputs = self._outputs(batch)
            logits = self.head.chosen(outputs)
            loss = tf.reduce_mean(cross_entropy(batch.labels, logits))
            loss += tf.cond(
                self.buffer.filled > 0,
                lambda: self.replay_loss(batch, seeds),
                lambda: 0.0,
            )
            loss = added([loss, self.penalty()])
        gradients = self.training.decayed(
            self._trained, tape.gradient(loss, variables), batch.replicas
        )
        new = {
            "images": batch.images,
            "labels": self.columns_of(batch.labels),
            "logits": outputs,
            "black": batch.black,
            "white": batch.white,
        }
        draws = self.buffer.draws(tf.shape(batch.labels)[0], storing)
        return Update(
            loss=loss,
            metrics={"accuracy": mean_accuracy(batch, logits)},
            gradients=[("main", gradients, variables)],
            after_apply=self.buffer.insertion(new, draws),
        )

    def replay_loss(self, batch: Batch, seeds: list[Tensor]) -> Tensor:
        """What a buffer that is not empty adds to the loss, a scalar.

        Args:
            batch: `Batch` of the task in hand.
            seeds: Two, int32 pairs.
        """
        past, outputs, share = self._replayed(batch, seeds[0])
        squares = tf.square(outputs - past["logits"])
        return self.alpha * tf.reduce_sum(share * tf.reduce_mean(squares, -1))

    def _replayed(self, batch, seed):
        """Examples of the past, what the network says of them now, and their
        shares in a mean."""
        drawing, changing = _seeds(seed, 2)
        count = tf.range(self.replay_size)
        places, weights = self.buffer.retrieve(self.replay_size, drawing)
        # Where there are fewer they come again and count once, so that norms
        # see no rows that are empty.
        places = tf.gather(places, count % self.buffer.filled)
        past = self.buffer.examples(places)
        names = ("images", "labels", "black", "white")
        replayed = batch._replace(
            **{name: past[name] for name in names},
            positions=count,
            size=self.replay_size,
            seed=changing,
        )
        share = weights / tf.reduce_sum(weights)
        return past, self._outputs(replayed), share

    def _outputs(self, batch):
        """All columns for the augmented images of a `Batch`."""
        _, hidden, mask = self.forward(batch, training=True)
        return self.head.outputs(hidden, mask)

    def _check_replicas(self, batch):
        if batch.replicas > 1:
            raise ValueError(
                f"{self.name} has one buffer, which every replica would fill "
                "with its own part of the stream: run it on one replica "
                f"(--distribution=none). Received: {batch.replicas} replicas"
            )


@gin.configurable
class DERPlusPlus(DER):
    """DER that replays labels, too.

        L = L of DER + beta * CE(y'', h(x'')),

    with (x'', y'') another draw from the same buffer. Among the logits only
    those of the example's own task compete, if test images come with their
    task, else those of all classes so far.

    Args:
        training, buffer, alpha: As of `DER`.
        beta: Weight of the old labels.
        replay_size, heads, **options: As of `DER`.

    Raises:
        ValueError: As of `DER`.

    Reference:
        Buzzega et al., NeurIPS 2020, eq. 6.
    """

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        buffer: ReplayBuffer | None = None,
        alpha: NonNegativeFloat = 0.1,
        beta: NonNegativeFloat = 0.5,
        replay_size: int = 32,
        heads: str | None = None,
        **options: Any,
    ):
        super().__init__(training, buffer, alpha, replay_size, heads, **options)
        self.beta = beta

    def replay_loss(self, batch: Batch, seeds: list[Tensor]) -> Tensor:
        past, outputs, share = self._replayed(batch, seeds[1])
        logits = self.among_rivals(outputs, past["labels"])
        losses = cross_entropy(past["labels"], logits)
        again = self.beta * tf.reduce_sum(share * losses)
        return super().replay_loss(batch, seeds) + again


def _seeds(seed, count):
    """Seeds out of one, for draws that have nothing to do with another."""
    fold = tf.random.experimental.stateless_fold_in
    return [fold(seed, number) for number in range(1, count + 1)]
