"""How replicas share a batch, and what is traced once for all of them."""

from __future__ import annotations

import collections
import typing

import tensorflow as tf

from tfcl.methods.base import Batch
from tfcl.methods.protocols import graph_of

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Any

    from tfcl.engine.resident import ResidentSplit
    from tfcl.methods.base import Method
    from tfcl.types import Tensor


# An order of examples; first and last batch, and their size.
RANGE = [tf.TensorSpec((None,), tf.int32), tf.TensorSpec((3,), tf.int32)]


class Replicas:
    """The replicas of a strategy, with the functions traced for a method.

    The only place that knows how replicas share a batch: replica r takes the
    examples r, r + R, r + 2R, ....

    Args:
        method: `Method`.
        strategy: `tf.distribute.Strategy`.

    Attributes:
        count: R.
        traces: Counter of traced functions by name.
    """

    def __init__(self, method: Method, strategy: tf.distribute.Strategy):
        self._method = method
        self.strategy = strategy
        self.count = strategy.num_replicas_in_sync
        self.traces = collections.Counter()
        self._functions: dict[Any, Callable[..., Any]] = {}
        self._graph: Hashable = None

    def function(
        self, key: Any, build: Callable[..., Any]
    ) -> Callable[..., Any]:
        """The traced function of a key, built once per graph."""
        graph = graph_of(self._method)
        if graph != self._graph:  # The method has grown: other variables.
            self._functions.clear()
            self._graph = graph
        if key not in self._functions:
            self._functions[key] = build()
        return self._functions[key]

    def batch(
        self, resident: ResidentSplit, rows: Tensor, step: Tensor, seed: Tensor
    ) -> Batch:
        """Traced, on a replica: its `Batch` of the rows of a split."""
        context = tf.distribute.get_replica_context()
        size = tf.size(rows)
        positions = tf.range(size)
        if self.count > 1:
            mine = context.replica_id_in_sync_group
            positions = positions[mine :: self.count]
            rows = rows[mine :: self.count]
        images, labels, groups, black, white = resident.gather(rows)

        def sum_over_replicas(value):
            if self.count == 1:
                return value
            return context.all_reduce(tf.distribute.ReduceOp.SUM, value)

        return Batch(
            images=images,
            labels=labels,
            tasks=groups,
            black=black,
            white=white,
            positions=positions,
            size=size,
            step=step,
            seed=seed,
            replicas=self.count,
            sum_over_replicas=sum_over_replicas,
        )

    def draw_apart(self, seed: int) -> None:
        """Traced, on a replica: its random layers draw numbers of its own.

        Layers count their draws, alike on all replicas; where there are
        several, they begin every step with its seed and the replica's number.

        Args:
            seed: int32 pair of the step.
        """
        if self.count == 1:
            return
        context = tf.distribute.get_replica_context()
        fold_in = tf.random.experimental.stateless_fold_in
        seed = fold_in(seed, context.replica_id_in_sync_group)
        for number, variable in enumerate(self._method.random_state):
            own = tf.bitcast(fold_in(seed, number), tf.uint32)
            variable.assign(tf.cast(own, variable.dtype))

    def summed(self, function: Callable[..., Any]) -> Any:
        """Traced: sums over replicas of what a function returns on each."""
        values = self.strategy.run(function)
        if self.count == 1:
            return values
        return tf.nest.map_structure(
            lambda v: self.strategy.reduce("SUM", v, axis=None), values
        )
