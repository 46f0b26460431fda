"""A classifier that answers with the class whose mean is nearest."""

from __future__ import annotations

import typing

import keras
import numpy as np

from tfcl.layers.task_head import TaskHead

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.types import Lowered, Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class NearestMeanHead(TaskHead):
    """A `TaskHead` that answers by means of classes, not by its output layer.

    What the output layer gets is brought to length 1; the logit of a class is
    minus the squared distance to its mean, whose columns are those of the
    output layer. That layer serves training alone: `outputs` gives it.

    Args: As of `TaskHead`.

    Input shape: `(batch, features)`.
    Output shape: `(batch, max_classes)`, float32.

    Attributes:
        means: float32 `(units, num_outputs)`, zeros at first.

    Reference:
        Rebuffi et al., "iCaRL: Incremental Classifier and Representation
        Learning", CVPR 2017, eq. 2.
    """

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.means = self.add_weight(
            name="means",
            shape=self.kernels[-1].shape,
            initializer="zeros",
            trainable=False,
            autocast=False,
        )

    def call(
        self, inputs: Tensor, dropout_mask: Tensor | None = None
    ) -> Tensor:
        """Minus squared distances; the mask multiplies the features."""
        hidden = keras.ops.cast(self.hidden(inputs, dropout_mask), "float32")
        unit = _unit()(hidden)
        means = keras.ops.convert_to_tensor(self.means)
        # Of two vectors, the first of length 1: 1 - 2 u m + m m.
        squares = keras.ops.sum(means * means, axis=0)
        return self.chosen(keras.ops.matmul(unit, 2.0 * means) - 1.0 - squares)

    def owned_variables(self) -> list[tuple[str, keras.Variable, Any]]:
        *listed, columns = super().owned_variables()
        zeros = keras.initializers.Zeros()
        return [*listed, ("means", self.means, zeros), columns]

    def lower(self) -> list[Lowered]:
        """Hidden layers, unit length, and a plain Dense layer."""
        means = self.means.numpy()[:, self.active_columns]
        answer = keras.layers.Dense(
            means.shape[1], name=f"{self.name}_means", dtype="float32"
        )
        unit = _unit(name=f"{self.name}_unit")
        weights = [2.0 * means, -1.0 - np.sum(means * means, axis=0)]
        hidden: Sequence[Lowered] = super().lower()[:-1]
        return [*hidden, (unit, []), (answer, weights)]


def _unit(**kwargs):
    return keras.layers.UnitNormalization(dtype="float32", **kwargs)
