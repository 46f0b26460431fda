"""Springs: weights are held where they are, each as it is important."""

from __future__ import annotations

import typing

import numpy as np
import tensorflow as tf

from tfcl.models.variables import statistic

if typing.TYPE_CHECKING:
    from collections.abc import Sequence

    import keras

    from tfcl.models.variables import Owned
    from tfcl.types import Tensor


class QuadraticPenalty:
    """`sum_k Omega_k (w_k - w*_k)^2` over weights.

    Methods differ in what makes a weight important and in the factor before
    the sum.

    Args:
        weights: `Owned` that are held.
        name: Of the importances in a checkpoint.

    Attributes:
        weights: As given.
        importance: Omega, a variable in the shape of each weight; zeros at
            first, which hold nothing.
        anchor: w*, likewise.
    """

    def __init__(self, weights: Sequence[Owned], name: str = "importance"):
        self.weights = list(weights)
        self.importance = self.zeros(name)
        self.anchor = self.zeros("anchor")

    def zeros(self, name: str) -> list[keras.Variable]:
        """A variable of zeros in the shape of each weight."""
        shapes = [owned.variable.shape for owned in self.weights]
        return [statistic(np.zeros(shape), name) for shape in shapes]

    @property
    def state(self) -> list[keras.Variable]:
        """What a resumed run needs."""
        return [*self.importance, *self.anchor]

    def __call__(self) -> Tensor:
        """The sum, a scalar."""
        return sum(
            tf.reduce_sum(importance * tf.square(owned.variable - anchor))
            for importance, owned, anchor in zip(
                self.importance, self.weights, self.anchor
            )
        )

    def move_anchor(self) -> None:
        """Holds the weights, from now on, where they are."""
        for anchor, owned in zip(self.anchor, self.weights):
            anchor.assign(owned.variable)

    def widening(
        self,
        wide: Sequence[keras.Variable],
        *further: Sequence[keras.Variable],
    ) -> list[keras.Variable]:
        """What grows with those of the weights that are in `wide`.

        Args:
            wide: See `Method.widening`.
            *further: Other lists of variables in the weights' shapes.
        """
        places = [
            place
            for place, owned in enumerate(self.weights)
            if any(owned.variable is variable for variable in wide)
        ]
        kept = (self.importance, self.anchor, *further)
        return [each[place] for each in kept for place in places]

    def means(self) -> dict[str, float]:
        """`{weight: mean importance of its elements}`."""
        return {
            owned.name: float(np.mean(importance.numpy()))
            for owned, importance in zip(self.weights, self.importance)
        }
