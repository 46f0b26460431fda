"""GDumb's greedy policy: as many examples of each class as fit."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from tfcl.replay.insertion import Insertion
from tfcl.replay.table import statistic


class Balanced(Insertion):
    """Keeps the classes of a buffer as even as the stream allows.

    An example is kept if its class is new, or has fewer than
    `floor(capacity / max(1, classes seen))`. Of a full buffer, one example of
    the largest class goes first, drawn at random (of classes of one size,
    that which was seen first); the new one takes its row.

    It also knows which examples of the stream are kept, so that a buffer
    without any column is of use where the stream can be read again.

    Attributes:
        numbers: int32 `(C, B)`: the examples of each class, counted through
            the stream, in the order in which they came, then -1.
        counts: int32 `(C,)`.
        order: int32 `(C,)`: rank of a class by when it was first seen, or -1.
        seen: int32 scalar: examples offered so far.
        rows: int32 `(C, B)`: the row of each of `numbers`; only where the
            buffer has columns.

    Reference:
        Prabhu, Torr, Dokania, "GDumb: A Simple Approach that Questions Our
        Progress in Continual Learning", ECCV 2020, algorithm 1; its details
        are those of the program of Memory Head.
    """

    reads = ("labels",)

    def build(self, capacity: int, has_rows: bool, classes: int | None) -> None:
        if classes is None:
            raise ValueError(
                "Argument `classes` must be the number of classes for the "
                "policy 'balanced', which counts them: give it to "
                "`ReplayBuffer.build`. Received: classes=None"
            )
        self.capacity, self.classes = capacity, classes
        nobody = np.full((classes, capacity), -1)
        self.numbers = statistic(nobody, "numbers", "int32")
        self.counts = statistic(np.zeros(classes), "counts", "int32")
        self.order = statistic(np.full(classes, -1), "order", "int32")
        self.seen = statistic(0, "seen", "int32")
        # A buffer of numbers alone does not pay for a second table.
        self.rows = statistic(nobody, "rows", "int32") if has_rows else None

    @property
    def variables(self) -> list[keras.Variable]:
        mine = [self.numbers, self.counts, self.order, self.seen]
        return mine if self.rows is None else [*mine, self.rows]

    @property
    def filled(self) -> tf.Tensor:
        return tf.reduce_sum(tf.convert_to_tensor(self.counts))

    def draws(self, count: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Chances in [0, 1), float32 `(count,)`, for evictions."""
        return tf.random.stateless_uniform([count], seed)

    def placed(
        self, examples: Mapping[str, tf.Tensor], draws: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        labels = tf.cast(examples["labels"], tf.int32)
        count = tf.shape(labels)[0]

        def body(k, places, *state):
            place, *state = self._offered(labels[k], draws[k], *state)
            if self.rows is not None:
                here = tf.range(count) == k
                # A loop must not lose the static shape.
                places = tf.ensure_shape(
                    tf.where(here, place, places), labels.shape
                )
            return k + 1, places, *state

        start = [tf.convert_to_tensor(v) for v in self.variables]
        _, places, *state = tf.while_loop(
            lambda k, *_: k < count,
            body,
            (tf.constant(0), -tf.ones_like(labels), *start),
        )
        return places, state

    def _offered(self, label, chance, numbers, counts, order, seen, rows=None):
        """The example's row, and the state once it was offered."""
        known = tf.reduce_sum(tf.cast(order >= 0, tf.int32))
        new = order[label] < 0
        quota = self.capacity // tf.maximum(known, 1)
        taken = new | (counts[label] < quota)
        total = tf.reduce_sum(counts)
        full = total >= self.capacity
        # Of one size, the class that was seen first.
        rank = counts * (self.classes + 1) + (self.classes - order)
        largest = tf.argmax(rank, output_type=tf.int32)
        place = tf.cast(chance * tf.cast(counts[largest], tf.float32), tf.int32)
        place = tf.minimum(place, counts[largest] - 1)
        row, tables = -1, [(numbers, seen)]
        if rows is not None:
            row = tf.where(full, rows[largest, tf.maximum(place, 0)], total)
            tables.append((rows, row))
        sets = tf.range(self.classes)[:, None]
        columns = tf.range(self.capacity)
        gone = taken & full & (sets == largest) & (columns >= place)
        one = tf.one_hot(largest, self.classes, dtype=tf.int32)
        counts = tf.where(taken & full, counts - one, counts)
        here = taken & (sets == label) & (columns == counts[label])
        numbers, *rows = [
            tf.where(here, value, tf.where(gone, _moved(table), table))
            for table, value in tables
        ]
        one = tf.one_hot(label, self.classes, dtype=tf.int32)
        order = tf.where((one > 0) & new, known, order)
        counts += one * tf.cast(taken, tf.int32)
        row = tf.where(taken, row, -1)
        return row, numbers, counts, order, seen + 1, *rows

    def kept(self) -> list[int]:
        """Numbers of the examples in the buffer, class by class."""
        numbers = self.numbers.numpy()
        ranks = np.argsort(
            np.where(self.order.numpy() < 0, 1 << 30, self.order)
        )
        listed = numbers[ranks].ravel()
        return listed[listed >= 0].tolist()


def _moved(table):
    """Every entry one place to the left, -1 behind."""
    return tf.concat([table[:, 1:], -tf.ones_like(table[:, :1])], 1)
