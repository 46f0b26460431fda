"""Rows of named columns, held in variables."""

import dataclasses
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from tfcl.arguments import require


@dataclasses.dataclass(frozen=True)
class Column:
    """What is kept of every example under one name.

    Args:
        shape: Of one example; `()` for a number.
        dtype: In which it is kept; what is inserted is cast to it.
    """

    shape: tuple[int, ...] = ()
    dtype: str = "float32"


class Table:
    """A fixed number of rows, each with a value in every column.

    Rows begin as zeros. All work is traced, or done eagerly, alike.

    Args:
        rows: How many.
        columns: `{name: Column}`, for example `{"images": Column((32, 32,
            3), "uint8"), "labels": Column((), "int32")}`.

    Attributes:
        columns: As given.
        rows: As given.
        variables: The `keras.Variable`s, `(rows, *shape)` each, in the order
            of `columns`: to be listed in the state of a method.
    """

    def __init__(self, rows: int, columns: Mapping[str, Column]):
        self.rows = rows
        self.columns = dict(columns)
        self._variables = {
            name: statistic(np.zeros((rows, *column.shape)), name, column.dtype)
            for name, column in self.columns.items()
        }

    @property
    def variables(self) -> list[keras.Variable]:
        return list(self._variables.values())

    def __getitem__(self, name: str) -> keras.Variable:
        """The variable of a column.

        Raises:
            ValueError: If there is no such column.
        """
        require(
            name in self._variables,
            "name",
            f"must be one of the columns {list(self.columns)}; say what else "
            "is to be kept where the table is built",
            name,
        )
        return self._variables[name]

    def taken(self, places: tf.Tensor) -> dict[str, tf.Tensor]:
        """Some rows.

        Args:
            places: Integers `(k,)` in [0, rows).

        Returns:
            `{name: (k, *shape)}`.
        """
        return {
            name: tf.gather(tf.convert_to_tensor(variable), places)
            for name, variable in self._variables.items()
        }

    def written(
        self, places: tf.Tensor, examples: Mapping[str, tf.Tensor]
    ) -> list[tf.Tensor]:
        """The values of `variables` once examples were written into rows.

        Nothing is assigned, so that a step may compute them before it is
        known whether it counts.

        Args:
            places: int32 `(b,)`; an example whose place is no row is not
                kept. Of several for one row the last counts.
            examples: `{name: (b, *shape)}` with all columns.

        Raises:
            ValueError: If a column is missing.
        """
        require(
            set(self.columns) <= set(examples),
            "examples",
            f"must have all columns {list(self.columns)}",
            list(examples),
        )
        if not self.columns:
            return []
        places, winner = self._winners(places)
        source = tf.maximum(winner, 0)
        new = []
        for name, variable in self._variables.items():
            values = tf.convert_to_tensor(variable)
            rows = tf.gather(tf.cast(examples[name], values.dtype), source)
            old = tf.gather(values, places)
            chosen = tf.reshape(
                winner >= 0, [-1, *[1] * (len(values.shape) - 1)]
            )
            rows = tf.where(chosen, rows, old)
            new.append(
                tf.tensor_scatter_nd_update(values, places[:, None], rows)
            )
        return new

    def assignment(
        self, places: tf.Tensor, examples: Mapping[str, tf.Tensor]
    ) -> Callable[[], None]:
        """Function that writes examples into rows; see `written`."""
        new = self.written(places, examples)

        def assign() -> None:
            for variable, value in zip(self.variables, new):
                variable.assign(value)

        return assign

    def _winners(self, places):
        """A row for each example, and the example that ends up there, or -1.

        An example that is not kept stands in for whatever ends up in the
        first row: every example writes, so that shapes stay fixed.
        """
        count = tf.shape(places)[0]
        kept = (places >= 0) & (places < self.rows)
        places = tf.where(kept, places, -1)
        hits = (places[:, None] == tf.range(self.rows)) & kept[:, None]
        last = tf.reduce_max(tf.where(hits, tf.range(count)[:, None], -1), 0)
        places = tf.maximum(places, 0)
        return places, tf.gather(last, places)


def statistic(
    value: np.ndarray | float, name: str, dtype: str
) -> keras.Variable:
    """A variable that every replica computes alike."""
    return keras.Variable(
        np.asarray(value, dtype),
        trainable=False,
        dtype=dtype,
        aggregation="only_first_replica",
        name=name,
    )
