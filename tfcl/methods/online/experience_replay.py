"""Experience replay, and replay of what a step would harm most (MIR)."""

from __future__ import annotations

import typing

import gin
import tensorflow as tf

from tfcl.arguments import checked, require
from tfcl.methods.online.online import OnlineLearning
from tfcl.replay.buffer import ReplayBuffer, check_replay
from tfcl.replay.table import Column

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tfcl.data.augmentation import Draws
    from tfcl.data.task import StreamSpec
    from tfcl.methods.base import Batch, Update
    from tfcl.methods.online.online_training import OnlineTraining
    from tfcl.models.online.online_network import OnlineNetwork
    from tfcl.types import Tensor


def two_seeds(seed: Tensor) -> tuple[Tensor, Tensor]:
    """Two seeds out of one, for draws that have nothing to do with another."""
    fold = tf.random.experimental.stateless_fold_in
    return fold(seed, 1), fold(seed, 2)


def sum_of(one: Any, other: Any) -> Any:
    """The sum of two gradients; of rows, if both are."""
    both = (one, other)
    if all(isinstance(g, tf.IndexedSlices) for g in both):
        return tf.IndexedSlices(
            tf.concat([g.values for g in both], axis=0),
            tf.concat([g.indices for g in both], axis=0),
            one.dense_shape,
        )
    return sum(tf.convert_to_tensor(g) for g in both)


@gin.configurable
class ExperienceReplay(OnlineLearning):
    """ER: every step also learns a few examples of the past.

    The gradients of the batch and of the loss of the replayed examples (a
    mean, for the hinge loss a sum, as over the batch) are added up for one
    optimizer step. The buffer takes the batch in after it was drawn from. A
    memory's own update runs after either pass.

    Args:
        network: See `OnlineLearning`.
        training: See `OnlineLearning`.
        buffer: `ReplayBuffer`; None makes one of 200 examples.
        replay_size: Examples replayed per step.

    Raises:
        ValueError: If the buffer is smaller than `replay_size`.

    Reference:
        Chaudhry et al., "On Tiny Episodic Memories in Continual Learning",
        2019; in the form of the program of Memory Head.
    """

    @checked
    def __init__(
        self,
        network: Callable[..., OnlineNetwork] | None = None,
        training: OnlineTraining | None = None,
        buffer: ReplayBuffer | None = None,
        replay_size: int = 20,
    ):
        super().__init__(network, training)
        self.buffer = ReplayBuffer() if buffer is None else buffer
        check_replay(self.buffer.capacity, "replay_size", replay_size)
        self.replay_size = replay_size

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        self.buffer.build(self.columns(spec), spec.max_classes)
        self.state = [*self.state, *self.buffer.variables]

    def columns(self, spec: StreamSpec) -> dict[str, Column]:
        """What the buffer keeps of an example."""
        return {
            "images": Column(spec.image_shape),
            "labels": Column((), "int32"),
        }

    def train_step(self, batch: Batch) -> Update:
        self.check_replicas(batch)
        drawing, storing = two_seeds(batch.seed)
        places, weights = self.buffer.retrieve(self.candidates, drawing)
        draws = self.buffer.draws(tf.shape(batch.labels)[0], storing)
        return self.replay_step(batch, places, weights, draws)

    @property
    def candidates(self) -> int:
        """Examples drawn from the buffer."""
        return self.replay_size

    def replay_step(
        self, batch: Batch, places: Tensor, weights: Tensor, draws: Draws
    ) -> Update:
        """The step once everything is drawn.

        Args:
            batch: `Batch`.
            places, weights: Of `ReplayBuffer.retrieve`.
            draws: Of `ReplayBuffer.draws`.
        """
        network = self._network
        values = network.values()
        loss, logits, gradients, after = self.learn(batch, values)
        first = after(values)
        places, weights = self.chosen(gradients, first, places, weights)
        past = self.buffer.examples(places)
        _, _, replayed, after = network.learn(
            first,
            past["images"],
            lambda found: self.training.weighted_loss(
                past["labels"], found, weights
            ),
            batch.seed,
            present=weights > 0,
        )
        gradients = self.combined(gradients, replayed)
        insert = self.buffer.insertion(
            {"images": batch.images, "labels": batch.labels}, draws
        )
        last = after(first)
        return self.update(
            batch,
            loss,
            logits,
            gradients,
            before_apply=lambda: network.assign(values, last),
            after_apply=insert,
        )

    def chosen(
        self,
        gradients: Sequence[Tensor],
        values: Sequence[Tensor],
        places: Tensor,
        weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Those of the examples drawn that are replayed.

        Args:
            gradients: Of the batch.
            values: Of the network, after the batch.
            places, weights: Of the examples drawn.
        """
        del gradients, values
        return places, weights

    def combined(
        self, gradients: Sequence[Tensor], replayed: Sequence[Tensor]
    ) -> list[Tensor]:
        """The gradients of the step from those of batch and replay."""
        return [sum_of(*pair) for pair in zip(gradients, replayed)]


@gin.configurable
class MIR(ExperienceReplay):
    """Maximally interfered retrieval: replays what the step would harm.

    Of `candidates` examples of the buffer, replays the `replay_size` whose
    loss would grow most by a plain gradient step on the batch.

    Args:
        network, training, buffer, replay_size: See `ExperienceReplay`.
        candidates: Examples among which it chooses; None takes
            `replay_size`, as the program of Memory Head does: then the choice
            is a re-ordering, and MIR is `ExperienceReplay`.

    Raises:
        ValueError: If the buffer is smaller than `candidates`, or these are
            fewer than `replay_size`.

    Reference:
        Aljundi et al., "Online Continual Learning with Maximally Interfered
        Retrieval", NeurIPS 2019, algorithm 1.
    """

    @checked
    def __init__(
        self,
        network: Callable[..., OnlineNetwork] | None = None,
        training: OnlineTraining | None = None,
        buffer: ReplayBuffer | None = None,
        replay_size: int = 20,
        candidates: int | None = 50,
    ):
        super().__init__(network, training, buffer, replay_size)
        self._candidates = replay_size if candidates is None else candidates
        check_replay(self.buffer.capacity, "candidates", self._candidates)
        require(
            self._candidates >= replay_size,
            "candidates",
            f"must be at least replay_size={replay_size}",
            candidates,
        )

    @property
    def candidates(self) -> int:
        return self._candidates

    def chosen(
        self,
        gradients: Sequence[Tensor],
        values: Sequence[Tensor],
        places: Tensor,
        weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        rate = tf.cast(
            tf.convert_to_tensor(self.optimizers["main"].learning_rate),
            values[0].dtype,
        )
        virtual = self._network.moved(values, gradients, rate)
        past = self.buffer.examples(places)
        before, after = (
            self.training.loss_per_example(
                past["labels"], self._network.logits(state, past["images"])
            )
            for state in (values, virtual)
        )
        harm = tf.where(weights > 0, after - before, -float("inf"))
        # In the order of harm; of equals, the one drawn first.
        _, order = tf.math.top_k(harm, self.replay_size)
        return tf.gather(places, order), tf.gather(weights, order)
