"""A buffer of examples of the past, held in variables."""

import gin
import numpy as np
import tensorflow as tf

from tfcl.methods.base import require
from tfcl.models.variables import statistic

RESERVOIR, RANDOM = "reservoir", "random"
TEXTBOOK, PUBLISHED = "textbook", "published"


@gin.configurable
class ReplayBuffer:
    """Keeps a sample of a stream; composable into any method.

    A method calls `build` in its `setup`, lists `variables` in its `state`,
    draws with `retrieve` in its step, and after it calls what `insertion`
    has returned. All draws depend on the seed of the step alone. One buffer
    per process: of several replicas each would see its own part of the stream
    only.

    Args:
        capacity: B, examples.
        policy: "reservoir": every example of the stream has the same chance
            to be in the buffer (Vitter, 1985). "random": of a full buffer, a
            fair coin decides whether an example takes a place drawn at random.
        reservoir_draw: "textbook" draws the place of the n-th example out of
            n; "published" out of n - 1, so that the first example after the
            buffer is full is always kept, and for all examples of a batch out
            of the number before the batch: the program of Memory Head.

    Attributes:
        variables: The `keras.Variable`s: images, labels, seen.
    """

    def __init__(
        self,
        capacity: int = gin.REQUIRED,
        policy: str = RESERVOIR,
        reservoir_draw: str = TEXTBOOK,
    ):
        require(capacity >= 1, "capacity", "must be at least 1", capacity)
        require(
            policy in (RESERVOIR, RANDOM),
            "policy",
            "must be 'reservoir' or 'random'",
            policy,
        )
        require(
            reservoir_draw in (TEXTBOOK, PUBLISHED),
            "reservoir_draw",
            "must be 'textbook' or 'published'",
            reservoir_draw,
        )
        self.capacity = capacity
        self.policy = policy
        self.reservoir_draw = reservoir_draw
        self.variables = []

    def build(self, image_shape, dtype="float32"):
        """Makes the variables.

        Args:
            image_shape: Of one example.
            dtype: Of the images kept.
        """
        shape = (self.capacity, *image_shape)
        self.images = statistic(np.zeros(shape), "images", dtype)
        places = np.zeros(self.capacity)
        self.labels = statistic(places, "labels", "int32")
        self.seen = statistic(0, "seen", "int32")
        self.variables = [self.images, self.labels, self.seen]

    @property
    def filled(self):
        """Examples in the buffer, int32 scalar."""
        return tf.minimum(tf.convert_to_tensor(self.seen), self.capacity)

    def retrieve(self, count, seed):
        """Draws examples uniformly, without replacement.

        Args:
            count: How many; fewer come while the buffer holds fewer.
            seed: int32 pair.

        Returns:
            Places `(count,)` int32, and float32 weights `(count,)`: 1 for
            drawn examples, 0 for those that are missing.
        """
        chances = tf.random.stateless_uniform([self.capacity], seed)
        kept = tf.range(self.capacity) < self.filled
        _, places = tf.math.top_k(tf.where(kept, chances, -1.0), count)
        return places, tf.cast(tf.range(count) < self.filled, tf.float32)

    def examples(self, places):
        """Images and labels at places of the buffer."""
        return (
            tf.gather(tf.convert_to_tensor(self.images), places),
            tf.gather(tf.convert_to_tensor(self.labels), places),
        )

    def draws(self, count, seed):
        """Places at which examples would go into a full buffer.

        Args:
            count: Examples of the batch.
            seed: int32 pair.

        Returns:
            int32 `(count,)`; at least the capacity, or -1: not kept.
        """
        numbers = tf.random.stateless_uniform([2, count], seed)
        if self.policy == RANDOM:
            places = _up_to(self.capacity, numbers[0])
            return tf.where(numbers[1] < 0.5, places, -1)
        limit = tf.convert_to_tensor(self.seen)
        if self.reservoir_draw == TEXTBOOK:
            limit += 1 + tf.range(count)
        return _up_to(limit, numbers[0])

    def insertion(self, images, labels, draws):
        """Function that puts a batch into the buffer.

        Args:
            images: `(b, ...)`.
            labels: `(b,)` int32.
            draws: See `draws`.
        """
        count = tf.shape(labels)[0]
        order = tf.convert_to_tensor(self.seen) + tf.range(count)
        places = tf.where(order < self.capacity, order, draws)
        kept = (places >= 0) & (places < self.capacity)
        places = tf.where(kept, places, -1)
        # Of several that go to one place the last counts. An example that is
        # not kept stands in for whatever ends up in the first place.
        hits = (places[:, None] == tf.range(self.capacity)) & kept[:, None]
        last = tf.reduce_max(tf.where(hits, tf.range(count)[:, None], -1), 0)
        places = tf.maximum(places, 0)
        winner = tf.gather(last, places)
        source = tf.maximum(winner, 0)
        new = []
        for variable, batch in ((self.images, images), (self.labels, labels)):
            values = tf.convert_to_tensor(variable)
            rows = tf.gather(tf.cast(batch, values.dtype), source)
            old = tf.gather(values, places)
            chosen = tf.reshape(
                winner >= 0, [-1, *[1] * (len(values.shape) - 1)]
            )
            rows = tf.where(chosen, rows, old)
            new.append(
                tf.tensor_scatter_nd_update(values, places[:, None], rows)
            )
        new.append(tf.convert_to_tensor(self.seen) + count)

        def assign():
            for variable, value in zip(self.variables, new):
                variable.assign(value)

        return assign


def _up_to(limit, numbers):
    """Integers in [0, limit) from numbers in [0, 1)."""
    limit = tf.cast(limit, tf.int32)
    # In float64: float32 knows only 2^24 numbers.
    drawn = tf.cast(numbers, tf.float64) * tf.cast(limit, tf.float64)
    return tf.minimum(tf.cast(drawn, tf.int32), tf.maximum(limit - 1, 0))
