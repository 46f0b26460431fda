"""Insertion policies: which place of a buffer a new example takes."""

import abc
from collections.abc import Mapping
from typing import Annotated

import keras
import tensorflow as tf

from tfcl.arguments import checked, one_of
from tfcl.replay.table import statistic

TEXTBOOK, PUBLISHED = "textbook", "published"


class Insertion(abc.ABC):
    """Says where in a `ReplayBuffer` new examples go. Serves one buffer.

    What it must remember stands in variables of its own. All chance comes in
    by `draws`, so that a step can be repeated, and held against draws of
    others.

    Attributes:
        reads: Names of what it must know of the examples, columns or not.
    """

    reads: tuple[str, ...] = ()

    @abc.abstractmethod
    def build(self, capacity: int, has_rows: bool, classes: int | None) -> None:
        """Makes the variables.

        Args:
            capacity: Rows of the buffer.
            has_rows: Whether the buffer has any columns to fill.
            classes: Number of classes, or None where nobody knows.
        """

    @property
    @abc.abstractmethod
    def variables(self) -> list[keras.Variable]:
        """What it remembers, in a fixed order."""

    @property
    @abc.abstractmethod
    def filled(self) -> tf.Tensor:
        """Examples in the buffer, int32 scalar: rows 0 to that number."""

    @abc.abstractmethod
    def draws(self, count: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draws for the next examples.

        Args:
            count: How many examples come.
            seed: int32 pair.

        Returns:
            `(count,)`, what `placed` takes.
        """

    @abc.abstractmethod
    def placed(
        self, examples: Mapping[str, tf.Tensor], draws: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Where examples go.

        Args:
            examples: `{name: (b, ...)}`.
            draws: See `draws`.

        Returns:
            Rows, int32 `(b,)`, -1 or at least the capacity for an example
            that is not kept; and the values of `variables` after it.
        """


class _FirstFills(Insertion):
    """The first examples fill the rows; later ones go where draws say.

    Attributes:
        seen: int32 scalar: examples offered so far.
    """

    def build(self, capacity: int, has_rows: bool, classes: int | None) -> None:
        del has_rows, classes
        self.capacity = capacity
        self.seen = statistic(0, "seen", "int32")

    @property
    def variables(self) -> list[keras.Variable]:
        return [self.seen]

    @property
    def filled(self) -> tf.Tensor:
        return tf.minimum(tf.convert_to_tensor(self.seen), self.capacity)

    def placed(
        self, examples: Mapping[str, tf.Tensor], draws: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        del examples
        count = tf.shape(draws)[0]
        order = tf.convert_to_tensor(self.seen) + tf.range(count)
        places = tf.where(order < self.capacity, order, draws)
        return places, [tf.convert_to_tensor(self.seen) + count]


class Reservoir(_FirstFills):
    """Every example of the stream has the same chance to be in the buffer.

    The n-th example (n > B, the capacity) goes to a place drawn out of n, and
    is not kept if that is none of the B.

    Args:
        draw: "textbook" draws out of n. "published" draws out of n - 1, so
            that the first example after the buffer is full is always kept,
            and for all examples of a batch out of the number before the
            batch: the program of Memory Head.

    Raises:
        ValueError: If `draw` is neither.

    Reference:
        Vitter, "Random sampling with a reservoir", 1985, algorithm R.
    """

    @checked
    def __init__(
        self, draw: Annotated[str, one_of(TEXTBOOK, PUBLISHED)] = TEXTBOOK
    ):
        self.draw = draw

    def draws(self, count: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        numbers = tf.random.stateless_uniform([2, count], seed)
        limit = tf.convert_to_tensor(self.seen)
        if self.draw == TEXTBOOK:
            limit += 1 + tf.range(count)
        return _up_to(limit, numbers[0])


class CoinFlip(_FirstFills):
    """Of a full buffer, a fair coin decides whether an example is kept.

    If so it takes a place drawn at random, so that the buffer holds recent
    examples mostly.

    Reference:
        "ER_random" of the program of Memory Head (Tiezzi et al., CoLLAs
        2024).
    """

    def draws(self, count: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        numbers = tf.random.stateless_uniform([2, count], seed)
        places = _up_to(self.capacity, numbers[0])
        return tf.where(numbers[1] < 0.5, places, -1)


def _up_to(limit, numbers):
    """Integers in [0, limit) from numbers in [0, 1)."""
    limit = tf.cast(limit, tf.int32)
    # In float64: float32 knows only 2^24 numbers.
    drawn = tf.cast(numbers, tf.float64) * tf.cast(limit, tf.float64)
    return tf.minimum(tf.cast(drawn, tf.int32), tf.maximum(limit - 1, 0))
