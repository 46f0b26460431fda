"""Passes over a split that measure the active task and train nothing."""

from __future__ import annotations

import typing

import numpy as np
import tensorflow as tf

from tfcl.data.pairs import PairSplit
from tfcl.engine.orders import in_stored_order, rows_of_batch
from tfcl.engine.replicas import RANGE
from tfcl.errors import UserError
from tfcl.methods.protocols import SupportsEmbedding, serving_graph_of
from tfcl.metrics.verification import (
    Verification,
    angular_distance,
    verification_accuracy,
)

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tfcl.data.split import Split
    from tfcl.engine.replicas import Replicas
    from tfcl.engine.resident import ResidentSplit
    from tfcl.methods.base import Batch, Method
    from tfcl.types import Tensor


class Evaluation(typing.NamedTuple):
    """How the active task does on a split.

    Attributes:
        loss: Mean cross-entropy.
        accuracy: Fraction of right answers.
        batch_losses: Sum over batches of their mean losses; a smaller last
            batch counts as much as the others.
        top5_accuracy: Fraction whose right answer is among the five best;
            None of a split of pairs.
        group_accuracies: Accuracy on each group of the split, `(groups,)`,
            NaN where empty; None of a split of pairs.
        verification: Fold by fold, of a split of pairs.
    """

    loss: float
    accuracy: float
    batch_losses: float
    top5_accuracy: float | None = None
    group_accuracies: np.ndarray | None = None
    verification: Verification | None = None


class Given(typing.NamedTuple):
    """What the active task answers to the examples of a split.

    Attributes:
        classes: Column of the largest logit, int32 `(n,)`.
        scores: Its probability among the columns asked for, float32 `(n,)`;
            0 where logits are not finite.
        logits: The logit itself, float32 `(n,)`; not finite as it came.
    """

    classes: np.ndarray
    scores: np.ndarray
    logits: np.ndarray


class Measurement:
    """Traced passes over a resident split in its stored order.

    Args:
        method: `Method`.
        replicas: `Replicas`.
        resident: `ResidentSplit` that holds what is measured.
    """

    def __init__(
        self, method: Method, replicas: Replicas, resident: ResidentSplit
    ):
        self._method = method
        self._replicas = replicas
        self._resident = resident

    def evaluate(
        self,
        split: Split | PairSplit,
        batch_size: int,
        logits: Callable[[Batch], Tensor] | None = None,
    ) -> Evaluation:
        """The `Evaluation` of the active task on a split.

        Args:
            split: `Split` or `PairSplit`.
            batch_size: Examples per batch over all replicas.
            logits: Traced function from a `Batch` to what its labels count.
                Defaults to the method's `predict` of its images.
        """
        if isinstance(split, PairSplit):
            return self._verified(split, batch_size)
        key = ("evaluate", serving_graph_of(self._method), logits)
        function = self._replicas.function(
            key, lambda: self._evaluation_loop(logits)
        )
        loss, batch_losses, top5 = 0.0, 0.0, 0
        right = np.zeros(len(split.mean), np.int64)
        for order, first, last in self._resident.windows(
            *in_stored_order(split, batch_size), batch_size
        ):
            sums = function(
                tf.constant(order, tf.int32),
                tf.constant([first, last, batch_size], tf.int32),
            )
            loss += float(sums[0])
            right += sums[1].numpy()
            batch_losses += float(sums[2])
            top5 += int(sums[3])
        assert split.groups is not None, "every `Split` has them"
        counts = np.bincount(split.groups, minlength=len(right))
        return Evaluation(
            loss=loss / len(split),
            accuracy=int(right.sum()) / len(split),
            batch_losses=batch_losses,
            top5_accuracy=top5 / len(split),
            group_accuracies=np.where(
                counts, right / np.maximum(counts, 1), np.nan
            ),
        )

    def answers(
        self, split: Split, batch_size: int, columns: Sequence[int]
    ) -> Given:
        """What the active task answers, in the stored order of a split.

        Args:
            split: `Split`, of no pairs.
            batch_size: Examples per batch.
            columns: Columns of the logits that the answer is chosen from.
        """
        key = ("answer", serving_graph_of(self._method))
        answer = self._replicas.function(key, self._answering)
        wanted = tf.constant(columns, tf.int32)
        found = self._by_batches(
            split, batch_size, lambda rows: answer(rows, wanted)
        )
        return Given(*found)

    def _verified(self, split, batch_size):
        embeddings = self._embeddings(split, batch_size)
        distances = angular_distance(embeddings[::2], embeddings[1::2])
        found = verification_accuracy(distances, split.same, split.folds)
        return Evaluation(
            # The loss of a choice between two answers: 1 for a wrong one.
            loss=1.0 - found.mean,
            accuracy=found.mean,
            batch_losses=1.0 - found.mean,
            verification=found,
        )

    def _embeddings(self, split, batch_size):
        """What the active task compares images by, `(n, units)`."""
        if not isinstance(self._method, SupportsEmbedding):
            raise UserError(
                f"{self._method.name} gives no embedding of an image, which "
                "tasks measured by pairs are compared by. Leave such tasks out "
                "of the stream, or take a method of one network (CPG, PackNet, "
                "FineTuning, Individual, ...)."
            )
        key = ("embed", serving_graph_of(self._method))
        embed = self._replicas.function(key, self._embedding)
        (found,) = self._by_batches(split, batch_size, lambda r: [embed(r)])
        return found

    def _by_batches(self, split, batch_size, function):
        """Arrays of all examples, of a function that gives tensors of some."""
        parts = []
        for order, first, last in self._resident.windows(
            *in_stored_order(split, batch_size), batch_size
        ):
            for step in range(first, last):
                rows = order[step * batch_size : (step + 1) * batch_size]
                found = function(tf.constant(rows, tf.int32))
                parts.append([each.numpy() for each in found])
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def _evaluation_loop(self, logits_of):
        name = "evaluate" if logits_of is None else logits_of.__name__

        def served(batch):
            return self._method.predict(batch.images)

        logits_of = logits_of or served

        @tf.function(input_signature=RANGE, autograph=False)
        def loop(order, counts):
            self._replicas.traces[name] += 1
            end, size = counts[1], counts[2]
            groups = self._resident.num_groups()

            def replica(rows):
                batch = self._replicas.batch(
                    self._resident, rows, 0, tf.zeros(2, tf.int32)
                )
                return _sums(batch, logits_of(batch), groups)

            def body(number, loss, right, means, top5):
                rows = rows_of_batch(order, number, size)
                sums = self._replicas.summed(lambda: replica(rows))
                mean = sums[0] / tf.cast(tf.size(rows), tf.float32)
                return (
                    number + 1,
                    loss + sums[0],
                    right + sums[1],
                    means + mean,
                    top5 + sums[2],
                )

            zero = tf.constant(0.0)
            _, *sums = tf.while_loop(
                lambda number, *_: number < end,
                body,
                (counts[0], zero, tf.zeros([groups], tf.int32), zero, 0),
                parallel_iterations=1,
            )
            return sums

        return loop

    def _embedding(self):
        @tf.function(
            input_signature=[tf.TensorSpec((None,), tf.int32)], autograph=False
        )
        def embed(rows):
            self._replicas.traces["embed"] += 1
            return self._method.embed(self._resident.gather(rows)[0])

        return embed

    def _answering(self):
        rows_and_columns = [
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None,), tf.int32),
        ]

        @tf.function(input_signature=rows_and_columns, autograph=False)
        def answer(rows, columns):
            self._replicas.traces["answer"] += 1
            logits = self._method.predict(self._resident.gather(rows)[0])
            logits = tf.cast(logits, tf.float32)
            logits = tf.gather(logits, columns, axis=-1)
            scores = tf.reduce_max(tf.nn.softmax(logits), axis=-1)
            known = tf.math.is_finite(scores)
            return (
                tf.gather(columns, tf.argmax(logits, -1)),
                tf.where(known, scores, tf.zeros_like(scores)),
                tf.reduce_max(logits, axis=-1),
            )

        return answer


def _sums(batch, logits, groups):
    """Sum of losses, right answers by group, and right ones among five."""
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        batch.labels, logits
    )
    found = tf.argmax(logits, -1, output_type=tf.int32)
    right = tf.cast(found == batch.labels, tf.int32)
    return (
        tf.reduce_sum(losses),
        tf.math.unsorted_segment_sum(right, batch.tasks, groups),
        _among_the_best(logits, batch.labels, 5),
    )


def _among_the_best(logits, labels, count):
    """Examples of which fewer than `count` answers are better than the
    right one, int32 scalar."""
    right = tf.gather(logits, labels, axis=1, batch_dims=1)[:, None]
    better = tf.reduce_sum(tf.cast(logits > right, tf.int32), axis=-1)
    # A logit that is not a number is no answer.
    found = (better < count) & tf.math.is_finite(right[:, 0])
    return tf.reduce_sum(tf.cast(found, tf.int32))
