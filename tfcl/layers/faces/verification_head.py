"""A head for tasks that classify and tasks that tell persons apart."""

from __future__ import annotations

import typing

import keras
import numpy as np

from tfcl.layers.faces.angular_softmax import AngularSoftmax
from tfcl.layers.task_head import TaskHead

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Lowered, Shape, Tensor, Values


_EMBEDDING = ("embedding_kernel", "embedding_bias")
_ANGULAR = "angular_kernel"


@keras.saving.register_keras_serializable(package="tfcl")
class VerificationHead(TaskHead):
    """A `TaskHead` with a second classifier, by angles of an embedding.

    Columns 0..P-1 are a plain dense layer on the features x. Columns P..P+V-1
    are `|e| cos(theta)` of the embedding `e = x E + b`, see `AngularSoftmax`;
    in training the true one of them gets a margin. A task uses columns of one
    kind.

    Args:
        plain_classes: P, classes of the widest plain task, at least 1.
        persons: V, classes of the widest task by angles.
        embedding_units: Width of the embedding.
        margin: m of the angular margin.
        kernel_initializer, bias_initializer: Of all kernels and biases, but
            for the angular kernel, N(0, 0.01^2).

    Input shape: `(batch, features)`.
    Output shape: `(batch, max(P, V))`, float32.
    """

    def __init__(
        self,
        plain_classes: int,
        persons: int,
        embedding_units: int = 512,
        margin: int = 4,
        **kwargs,
    ):
        super().__init__(
            max(plain_classes, persons), plain_classes + persons, **kwargs
        )
        self.plain_classes = plain_classes
        self.persons = persons
        self.embedding_units = embedding_units
        self.angular = AngularSoftmax(persons, margin, name="angular")

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        units = self.embedding_units
        self.embedding_kernel, self.embedding_bias = (
            self.add_weight(name=name, shape=shape, initializer=initializer)
            for name, shape, initializer in zip(
                _EMBEDDING,
                ((input_shape[-1], units), (units,)),
                (
                    self.kernel_initializer,
                    self._bias_initializer(input_shape[-1]),
                ),
            )
        )
        self.angular.build((None, units))

    @property
    def dense_columns(self) -> int:
        return self.plain_classes

    @property
    def verifies(self) -> bool:
        """Whether the active task's classifier is the one by angles."""
        return bool(self.columns.numpy()[0] >= self.plain_classes)

    def outputs(
        self, inputs: Tensor, dropout_mask: Tensor | None = None
    ) -> Tensor:
        plain = super().outputs(inputs, dropout_mask)
        cosines = self.angular(self.embedding(inputs))[:, 0]
        return keras.ops.concatenate([plain, cosines], axis=-1)

    def embedding(self, inputs: Tensor) -> Tensor:
        """e, `(batch, embedding_units)`."""
        return keras.ops.add(
            keras.ops.matmul(inputs, self.embedding_kernel),
            self.embedding_bias,
        )

    def with_margin(
        self,
        inputs: Tensor,
        labels: Tensor,
        logits: Tensor,
        plain_weight: Tensor,
    ) -> Tensor:
        """Logits to train with: the true person's has part of the margin.

        Args:
            inputs: Features `(batch, features)`.
            labels: Integers `(batch,)`.
            logits: What a call has given for them.
            plain_weight: lambda, see `tfcl.layers.faces.angular_softmax`.

        Returns:
            `(batch, max(P, V))`; the logits as they are if the active task
            is a plain one.
        """
        columns = keras.ops.convert_to_tensor(self.columns)
        person = keras.ops.maximum(columns - self.plain_classes, 0)
        pair = self.angular(self.embedding(inputs))
        gain = keras.ops.take(pair[:, 1] - pair[:, 0], person, axis=-1)
        weight = keras.ops.cast(plain_weight, gain.dtype)
        true = keras.ops.one_hot(labels, self.max_classes, dtype=gain.dtype)
        angular = columns >= self.plain_classes
        gain = keras.ops.where(angular, true * gain / (1.0 + weight), 0.0)
        return logits + gain

    def trimmed(self, values: Any) -> Values:
        columns = self.active_columns
        values = dict(values)
        plain = [f"{self.name}/{name}_0" for name in ("kernel", "bias")]
        angular = f"{self.name}/{_ANGULAR}"
        if self.verifies:
            for name in plain:
                values.pop(name, None)
            if angular in values:
                kept = columns - self.plain_classes
                values[angular] = values[angular][:, kept]
            columns = self.plain_classes + np.arange(len(columns))
        else:
            for name in (*(f"{self.name}/{n}" for n in _EMBEDDING), angular):
                values.pop(name, None)
            for name in plain:
                if name in values:
                    values[name] = values[name][..., columns]
            columns = np.arange(len(columns))
        values[f"{self.name}/columns"] = columns.astype(np.int32)
        return values

    def owned_variables(self) -> list[tuple[str, keras.Variable, Any]]:
        own = [
            (_EMBEDDING[0], self.embedding_kernel, self.kernel_initializer),
            (
                _EMBEDDING[1],
                self.embedding_bias,
                self._bias_initializer(self.embedding_kernel.shape[0]),
            ),
            (_ANGULAR, self.angular.kernel, self.angular.kernel_initializer),
        ]
        return super().owned_variables() + own

    def class_axes(self) -> dict[str, int]:
        return {**super().class_axes(), _ANGULAR: -1}

    def left_out(self, values: Values) -> list[str]:
        columns = values.get(f"{self.name}/columns", np.zeros(1))
        names: tuple[str, ...] = (*_EMBEDDING, _ANGULAR)
        if columns[0] >= self.plain_classes:
            names = ("kernel_0", "bias_0")
        return [f"{self.name}/{name}" for name in names]

    def lower(self) -> list[Lowered]:
        """Plain Dense layers; `x u = |x| cos(theta)` for unit columns u."""
        if not self.verifies:
            return super().lower()
        kept = self.active_columns - self.plain_classes
        kernel = self.angular.kernel.numpy()[:, kept]
        kernel = kernel / np.linalg.norm(kernel, axis=0)
        embedding = [self.embedding_kernel, self.embedding_bias]
        return [
            (
                keras.layers.Dense(
                    weights[0].shape[1],
                    use_bias=len(weights) == 2,
                    name=f"{self.name}_{name}",
                    dtype="float32",
                ),
                weights,
            )
            for name, weights in (
                ("embedding", [v.numpy() for v in embedding]),
                ("angular", [kernel]),
            )
        ]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("max_classes", "num_outputs", "hidden_units"):
            del config[name]
        return {
            **config,
            "plain_classes": self.plain_classes,
            "persons": self.persons,
            "embedding_units": self.embedding_units,
            "margin": self.angular.margin,
        }
