"""GDumb's greedy buffer: as many examples of each class as fit."""

import numpy as np
import tensorflow as tf

from tfcl.models.variables import statistic


class BalancedBuffer:
    """Numbers of examples by class, in variables.

    An example is taken if its class is new, or has fewer than
    `floor(capacity / max(1, classes seen))`. Of a full buffer, one example of
    the largest class goes first, drawn at random (of classes of one size,
    that which was seen first).

    Args:
        capacity: B, examples.
        classes: C.

    Attributes:
        numbers: int32 `(C, B)`: the examples of each class in the order in
            which they came, then -1.
        counts: int32 `(C,)`.
        order: int32 `(C,)`: rank of a class by when it was first seen, or -1.
        seen: int32 scalar: examples offered so far.

    Reference:
        Prabhu, Torr, Dokania, "GDumb: A Simple Approach that Questions Our
        Progress in Continual Learning", ECCV 2020, algorithm 1; its details
        are those of the program of Memory Head.
    """

    def __init__(self, capacity, classes):
        self.capacity = capacity
        self.classes = classes
        shapes = {
            "numbers": (classes, capacity),
            "counts": (classes,),
            "order": (classes,),
            "seen": (),
        }
        starts = {"numbers": -1, "order": -1}
        for name, shape in shapes.items():
            value = np.full(shape, starts.get(name, 0))
            setattr(self, name, statistic(value, name, "int32"))

    @property
    def variables(self):
        return [self.numbers, self.counts, self.order, self.seen]

    def insertion(self, labels, chances):
        """Function that offers the next examples of a stream.

        Args:
            labels: int32 `(b,)`.
            chances: float32 `(b,)` in [0, 1): draws for evictions.
        """

        def body(k, *state):
            return k + 1, *self._offered(*state, labels[k], chances[k])

        start = [tf.convert_to_tensor(v) for v in self.variables]
        _, *state = tf.while_loop(
            lambda k, *_: k < tf.shape(labels)[0],
            body,
            (tf.constant(0), *start),
        )

        def assign():
            for variable, value in zip(self.variables, state):
                variable.assign(value)

        return assign

    def _offered(self, numbers, counts, order, seen, label, chance):
        """The state once one more example was offered."""
        known = tf.reduce_sum(tf.cast(order >= 0, tf.int32))
        new = order[label] < 0
        quota = self.capacity // tf.maximum(known, 1)
        taken = new | (counts[label] < quota)
        full = tf.reduce_sum(counts) >= self.capacity
        # Of one size, the class that was seen first.
        rank = counts * (self.classes + 1) + (self.classes - order)
        largest = tf.argmax(rank, output_type=tf.int32)
        place = tf.cast(chance * tf.cast(counts[largest], tf.float32), tf.int32)
        place = tf.minimum(place, counts[largest] - 1)
        moved = tf.concat([numbers[:, 1:], -tf.ones_like(counts)[:, None]], 1)
        rows = tf.range(self.classes)[:, None]
        columns = tf.range(self.capacity)
        gone = taken & full & (rows == largest) & (columns >= place)
        numbers = tf.where(gone, moved, numbers)
        one = tf.one_hot(largest, self.classes, dtype=tf.int32)
        counts = tf.where(taken & full, counts - one, counts)
        here = taken & (rows == label) & (columns == counts[label])
        numbers = tf.where(here, seen, numbers)
        one = tf.one_hot(label, self.classes, dtype=tf.int32)
        order = tf.where((one > 0) & new, known, order)
        return numbers, counts + one * tf.cast(taken, tf.int32), order, seen + 1

    def kept(self):
        """Numbers of the examples in the buffer, class by class, a list."""
        numbers = self.numbers.numpy()
        ranks = np.argsort(
            np.where(self.order.numpy() < 0, 1 << 30, self.order)
        )
        listed = numbers[ranks].ravel()
        return listed[listed >= 0].tolist()
