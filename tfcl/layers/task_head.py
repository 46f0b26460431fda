"""The classifier of the task in hand, as wide as the widest task."""

from __future__ import annotations

import typing

import keras
import numpy as np

from tfcl.layers.has_initializers import HasInitializers

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.types import Lowered, Shape, Tensor, Values


@keras.saving.register_keras_serializable(package="tfcl")
class TaskHead(HasInitializers, keras.layers.Layer):
    """Dense hidden layers (ReLU) and an output layer shared by a slot.

    One head serves every task of a stream: it has `num_outputs` columns, of
    which the active task uses those listed in the variable `columns`. Logits
    of unused places are so low that softmax gives them exactly zero.

    Args:
        max_classes: Classes of the widest task.
        num_outputs: Columns of the output layer. Defaults to `max_classes`.
        hidden_units: Widths of the hidden layers.
        kernel_initializer: For all kernels.
        bias_initializer: For all biases. One that has a method
            `of_fan_in(inputs of a unit)` makes another for every layer.

    Input shape: `(batch, features)`.
    Output shape: `(batch, max_classes)`, float32.

    Raises:
        ValueError: If `max_classes` is not in 1..`num_outputs`.
    """

    def __init__(
        self,
        max_classes: int,
        num_outputs: int | None = None,
        hidden_units: Sequence[int] = (),
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_outputs is None:
            num_outputs = max_classes
        if not 1 <= max_classes <= num_outputs:
            raise ValueError(
                "Argument `max_classes` must be at least 1 and at most "
                f"`num_outputs`. Received: max_classes={max_classes}, "
                f"num_outputs={num_outputs}"
            )
        self.max_classes = max_classes
        self.num_outputs = num_outputs
        self.hidden_units = tuple(hidden_units)

    def build(self, input_shape: Shape) -> None:
        widths = (input_shape[-1], *self.hidden_units, self.dense_columns)
        self.kernels, self.biases = [], []
        for depth, (rows, units) in enumerate(zip(widths, widths[1:])):
            self.kernels.append(
                self.add_weight(
                    name=f"kernel_{depth}",
                    shape=(rows, units),
                    initializer=self.kernel_initializer,
                )
            )
            self.biases.append(
                self.add_weight(
                    name=f"bias_{depth}",
                    shape=(units,),
                    initializer=self._bias_initializer(rows),
                )
            )
        self.columns = self.add_weight(
            name="columns",
            shape=(self.max_classes,),
            dtype="int32",
            initializer=_Range(),
            trainable=False,
        )
        self.built = True

    @property
    def dense_columns(self) -> int:
        """Columns of the output layer's kernel."""
        return self.num_outputs

    def embedding(self, inputs: Tensor) -> Tensor:
        """What images are compared by: the head's input."""
        return inputs

    def _bias_initializer(self, fan_in):
        of_fan_in = getattr(self.bias_initializer, "of_fan_in", None)
        return of_fan_in(fan_in) if of_fan_in else self.bias_initializer

    def call(
        self, inputs: Tensor, dropout_mask: Tensor | None = None
    ) -> Tensor:
        """Logits; the mask multiplies the features (scaled dropout)."""
        return self.chosen(self.outputs(inputs, dropout_mask))

    def chosen(self, outputs: Tensor) -> Tensor:
        """Logits out of all output columns, `(batch, max_classes)`."""
        columns = keras.ops.convert_to_tensor(self.columns)
        logits = keras.ops.take(outputs, keras.ops.maximum(columns, 0), axis=-1)
        return keras.ops.where(columns >= 0, logits, _lowest(logits))

    def outputs(
        self, inputs: Tensor, dropout_mask: Tensor | None = None
    ) -> Tensor:
        """All output columns, float32: `(batch, num_outputs)`."""
        hidden = self.hidden(inputs, dropout_mask)
        outputs = _dense(hidden, self.kernels[-1], self.biases[-1])
        return keras.ops.cast(outputs, "float32")

    def hidden(
        self, inputs: Tensor, dropout_mask: Tensor | None = None
    ) -> Tensor:
        """What the output layer gets, `(batch, units)`."""
        return self.layer_inputs(inputs, dropout_mask)[-1]

    def layer_inputs(
        self, inputs: Tensor, dropout_mask: Tensor | None = None
    ) -> list[Tensor]:
        """What each of `kernels` is multiplied by, `(batch, rows)`."""
        hidden = inputs
        if dropout_mask is not None:
            mask = keras.ops.cast(dropout_mask, hidden.dtype)
            hidden = keras.ops.multiply(hidden, mask)
        found = [hidden]
        for kernel, bias in zip(self.kernels[:-1], self.biases[:-1]):
            found.append(keras.ops.relu(_dense(found[-1], kernel, bias)))
        return found

    def use_columns(self, columns: Any) -> None:
        """Makes `columns` (a sequence of column numbers) the active ones."""
        columns = np.asarray(columns, np.int32)
        if (
            columns.ndim != 1
            or len(columns) > self.max_classes
            or not np.isin(columns, range(self.num_outputs)).all()
        ):
            raise ValueError(
                f"Argument `columns` must list at most {self.max_classes} "
                f"columns of 0..{self.num_outputs - 1}. "
                f"Received: columns={columns.tolist()}"
            )
        value = np.full(self.max_classes, -1, np.int32)
        value[: len(columns)] = columns
        self.columns.assign(value)

    @property
    def active_columns(self) -> np.ndarray:
        """Column numbers of the active task, `(classes,)` int32."""
        columns = self.columns.numpy()
        return columns[columns >= 0]

    def used_weights(self, used: Tensor | None = None) -> list[Tensor]:
        """Kernels and biases, with zeros in columns that are not in use.

        Args:
            used: Which columns are in use, boolean `(num_outputs,)`. None
                takes those of the active task.
        """
        if used is None:
            places = keras.ops.arange(self.num_outputs, dtype="int32")
            columns = keras.ops.convert_to_tensor(self.columns)
            used = keras.ops.any(columns[:, None] == places, axis=0)
        *hidden, kernel = self.kernels
        *hidden_biases, bias = self.biases
        weights = [v.value for v in (*hidden, *hidden_biases)]
        for weight in (kernel, bias):
            mask = keras.ops.cast(used, weight.dtype)
            weights.append(weight.value * mask)
        return weights

    def trimmed(self, values: Values) -> Values:
        """Bank values `{name: array}` without this head's unused places."""
        columns = self.active_columns
        last = len(self.kernels) - 1
        values = dict(values)
        if self.num_outputs == self.max_classes:
            for name in (f"kernel_{last}", f"bias_{last}"):
                name = f"{self.name}/{name}"
                if name in values:
                    values[name] = values[name][..., columns]
            # What is left stands in the first places.
            columns = np.arange(len(columns), dtype=np.int32)
        values[f"{self.name}/columns"] = columns
        return values

    def owned_variables(self) -> list[tuple[str, keras.Variable, Any]]:
        """`(name, variable, initializer)` of each variable."""
        listed = [
            (v.name, v, self.kernel_initializer) for v in self.kernels
        ] + [
            (b.name, b, self._bias_initializer(k.shape[0]))
            for k, b in zip(self.kernels, self.biases)
        ]
        return listed + [("columns", self.columns, _Range())]

    def class_axes(self) -> dict[str, int]:
        """`{variable: axis}` along which `trimmed` leaves out places."""
        last = len(self.kernels) - 1
        return {f"kernel_{last}": -1, f"bias_{last}": -1, "columns": 0}

    def left_out(self, values: Values) -> list[str]:
        """Names that `trimmed` has taken out of bank values as a whole."""
        del values
        return []

    def lower(self) -> list[Lowered]:
        """Plain Dense layers of the active task: list of (layer, weights)."""
        layers = []
        last = len(self.kernels) - 1
        for depth, (kernel, bias) in enumerate(zip(self.kernels, self.biases)):
            weights = [v.numpy() for v in (kernel, bias)]
            activation: str | None = "relu"
            if depth == last:
                columns = self.active_columns
                weights = [weights[0][:, columns], weights[1][columns]]
                activation = None
            layer = keras.layers.Dense(
                weights[1].shape[0],
                activation=activation,
                name=f"{self.name}_{depth}",
                dtype="float32",
            )
            layers.append((layer, weights))
        return layers

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.max_classes)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_classes": self.max_classes,
            "num_outputs": self.num_outputs,
            "hidden_units": self.hidden_units,
        }


def _dense(inputs, kernel, bias):
    product = keras.ops.matmul(inputs, keras.ops.cast(kernel, inputs.dtype))
    return keras.ops.add(product, keras.ops.cast(bias, product.dtype))


def _lowest(logits):
    # Far below any logit, yet finite, so that 0 * it stays 0 in gradients.
    return keras.ops.cast(-1e9, logits.dtype)


@keras.saving.register_keras_serializable(package="tfcl")
class _Range(keras.initializers.Initializer):
    """0, 1, 2, ...: every column in its own place."""

    def __call__(self, shape, dtype=None):
        return np.arange(shape[0]).astype(dtype or "int32")
