"""A dense layer whose weights are read from a memory, input by input."""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfcl.arguments import PositiveInt, checked, require
from tfcl.layers.memory import key_projections, memory_options, memory_update
from tfcl.layers.memory.memory_initializers import (
    KeyInitializer,
    MemoryInitializer,
)
from tfcl.layers.memory.memory_options import (
    KeyOptions,
    MemoryOptions,
    ScramblingOptions,
    grouped,
    ungrouped,
    update_rule,
)
from tfcl.layers.memory.memory_update import MemoryState, Reading

if typing.TYPE_CHECKING:
    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class MemoryDense(keras.layers.Layer):
    """Memory Head: keys find memory units, whose blend is the weights.

    Each of q key sets (one, or one per output) has m keys of d numbers and m
    memory units. An input x answers to the keys of a set,
    `s = psi(x) k / sqrt(d)`; the best `delta` units are blended by
    `softmax(gamma s)`; the blend, read as a kernel and a bias, is applied to
    x. Outputs are in the dtype of the variables also in mixed precision.

    Memory units are trained by gradients. Keys move by a rule of their own
    (online k-means), for which a training step calls `read`, takes gradients,
    and gives the `Reading` to `updated`. Numbers in brackets below are those
    of the equations in `tfcl/methods/online/memory_head.py`.

        from tfcl import layers

        layers.MemoryDense(
            10,
            layers.MemoryOptions(memory_units=16, delta=3),
            layers.KeyOptions(key_rate=0.01),
            layers.ScramblingOptions(scramble=False),
        )

    Weights: `keys` `(q, m, d)`, `memories` `(q * m, u)`, where unit i of key
    set j is row `j * m + i` and reshapes to `(units / q, features + 1)`, the
    last column being the bias; with `scramble` also the int32 counters
    `usage`, `age` `(q, m)`, `key_counter` `(q, m)` and `scrambles` `(q,)`.

    Args:
        units: Outputs.
        memory: `MemoryOptions`: how many memory units there are, and
            how they become weights. None takes the defaults, here and below.
        key: `KeyOptions`: how inputs are matched to keys, and how
            these learn.
        scrambling: `ScramblingOptions`: which units are given anew.

    Input shape: `(batch, features)`.
    Output shape: `(batch, units)`.

    Raises:
        ValueError: If arguments do not go together, or at `build` if the
            projection cannot give `key_size` numbers.

    Note:
        The configuration of the layer (`get_config`) lists the options
        without their groups, as it did before there were any.

    Reference:
        Tiezzi, Becattini, Marullo, Melacci, "Memory Head for Pre-Trained
        Backbones in Continual Learning", CoLLAs 2024.
    """

    @checked
    def __init__(
        self,
        units: PositiveInt,
        memory: MemoryOptions | None = None,
        key: KeyOptions | None = None,
        scrambling: ScramblingOptions | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        memory = memory or MemoryOptions()
        key = key or KeyOptions()
        sets = key.key_sets
        require(
            sets is None or units % sets == 0,
            "key_sets",
            f"must divide units={units}, or be None",
            sets,
        )
        self.units = units
        self.memory = memory
        self.key = key
        self.scrambling = scrambling or ScramblingOptions()

    def build(
        self, inputs_shape: Shape, key_input_shape: Shape | None = None
    ) -> None:
        # Keras finds shapes by the names of the arguments of `call`.
        del key_input_shape
        self.features = inputs_shape[-1]
        matched = tuple(self.key.key_shape or (self.features,))
        size = self.key.key_size or math.prod(matched)
        key_projections.check(self.key.projection, matched, size)
        self._key_sets = self.key.key_sets or (
            1 if self.key.shared_keys else self.units
        )
        keys = (self._key_sets, self.memory.memory_units)
        width = self.features + int(self.memory.use_bias)
        tail = 2 * self.features if self.memory.layer_norm else 0
        unit = self.units // self._key_sets * width + tail
        self._initializers = {
            "keys": KeyInitializer(self.key.similarity == memory_update.COSINE),
            "memories": MemoryInitializer(tail),
        }
        self.keys = self._weight(
            "keys",
            (*keys, size),
            trainable=self.key.key_update != memory_options.WINNER,
        )
        self.memories = self._weight("memories", (math.prod(keys), unit))
        self._counters = []
        if self.scrambling.scramble:
            start = keras.initializers.Constant(
                int(self.scrambling.age_threshold)
            )
            self._initializers["age"] = start
            self._counters = [
                self._weight(name, shape, trainable=False, dtype="int32")
                for name, shape in (
                    ("usage", keys),
                    ("age", keys),
                    ("key_counter", keys),
                    ("scrambles", keys[:1]),
                )
            ]
            self.usage, self.age, self.key_counter, self.scrambles = (
                self._counters
            )
        self.built = True

    def _weight(self, name, shape, **kwargs):
        start = self._initializers.setdefault(name, keras.initializers.Zeros())
        # Scores of keys need full precision also in mixed precision.
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=start,
            autocast=False,
            **kwargs,
        )

    # Forward

    def call(self, inputs: Tensor, key_input: Tensor | None = None) -> Tensor:
        """Outputs. Every unit is applied to every input, then blended."""
        state = self.prepared(self.state())
        inputs, reading = self._matched(inputs, key_input, state)
        if self.scrambling.count_evaluations and self._counters:
            m = self.memory.memory_units
            wins = tf.one_hot(reading.units[..., 0], m, dtype=tf.int32)
            self.key_counter.assign_add(tf.reduce_sum(wins, axis=0))
        weights = self._weights(reading)
        if self.memory.layer_norm:
            return self._applied(inputs, self._blend(state, reading, weights))
        return self._mixed(inputs, state, reading, weights)

    def read(
        self,
        inputs: tf.Tensor,
        state: MemoryState | None = None,
        key_input: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, Reading]:
        """(1) to (5): the forward pass of a training step.

        Only blended units are touched, and gradients follow the rules of the
        class. The gradient for `state.memories` is a `tf.IndexedSlices` of
        the rows that are trained.

        Args:
            inputs: `(b, features)`.
            state: `MemoryState`, prepared; defaults to the layer's own.
            key_input: What keys are matched to, with `key_shape`.

        Returns:
            Outputs `(b, units)`, and a `Reading`.
        """
        state = self.prepared(self.state()) if state is None else state
        inputs, reading = self._matched(inputs, key_input, state)
        weights = self._weights(reading)
        if (
            self.memory.memory_update == memory_options.WINNER
            and self.key.key_update == memory_options.GRADIENT_WINNER
        ):
            others = tf.stop_gradient(weights[..., 1:])
            weights = tf.concat([weights[..., :1], others], axis=-1)
        blend = self._blend(state, reading, weights)
        return self._applied(inputs, blend), reading

    def _matched(self, inputs, key_input, state):
        """(1), (2), (3): inputs, and what they find, their `Reading`."""
        inputs = tf.cast(inputs, self.variable_dtype)
        matched = inputs if key_input is None else key_input
        matched = tf.cast(matched, self.variable_dtype)
        if self.key.detach_keys and not self.renews_keys:
            matched = tf.stop_gradient(matched)
        queries = key_projections.project(
            matched, self.key.projection, self.keys.shape[-1]
        )
        keys = state.keys
        if self.key.similarity == memory_update.COSINE:
            queries = memory_update.unit_length(queries)
        scores = memory_update.responses(
            queries,
            keys,
            self.key.similarity,
            self.key.bandwidth,
        )
        count = min(self.memory.delta, self.memory.memory_units)
        best, units = tf.math.top_k(scores, count)
        return inputs, Reading(queries, best, units)

    def _weights(self, reading):
        """(3): a, `(b, q, delta)`."""
        return tf.nn.softmax(
            self.memory.inverse_temperature * reading.responses
        )

    def _blend(self, state, reading, weights):
        """(4): W, `(b, q, u)`."""
        first = tf.range(self._key_sets)[:, None] * self.memory.memory_units
        rows = reading.units + first
        if self.memory.memory_update == memory_options.ALL:
            units = tf.gather(state.memories, rows)
            return tf.reduce_sum(weights[..., None] * units, axis=2)
        winner = tf.gather(state.memories, rows[..., 0])
        others = tf.gather(tf.stop_gradient(state.memories), rows[..., 1:])
        return weights[..., :1] * winner + tf.reduce_sum(
            weights[..., 1:, None] * others, axis=2
        )

    def _applied(self, inputs, blend):
        """(5): outputs of weights that differ from example to example."""
        size = self.features
        if self.memory.layer_norm:
            tail = blend[..., -2 * size :]
            blend = blend[..., : -2 * size]
        width = size + int(self.memory.use_bias)
        per_set = self.units // self._key_sets
        weights = tf.reshape(blend, [-1, self._key_sets, per_set, width])
        bias = weights[..., size] if self.memory.use_bias else 0.0
        weights = weights[..., :size]
        if self.memory.layer_norm:
            tail = tail[:, :, None]  # Of all units of a key set.
            weights *= tail[..., :size]
            bias += tf.reduce_sum(weights * tail[..., size:], axis=-1)
            inputs = self._normalised(inputs)
        weights = tf.reshape(weights, [-1, self.units, size])
        outputs = tf.linalg.matvec(weights, inputs)
        if self.memory.use_bias or self.memory.layer_norm:
            outputs += tf.reshape(bias, [-1, self.units])
        return outputs

    def _normalised(self, inputs):
        centred = inputs - tf.reduce_mean(inputs, axis=-1, keepdims=True)
        squares = tf.reduce_sum(tf.square(centred), axis=-1, keepdims=True)
        variance = squares / (self.features - 1)
        if self.memory.layer_norm == memory_options.DEVIATION:
            return centred / tf.sqrt(variance + 1e-5)
        return centred / (variance + 1e-5)

    def _mixed(self, inputs, state, reading, weights):
        """(4) and (5) by one product with all units.

        A unit takes part in no example's sum where its weight is 0.
        """
        q, m = self._key_sets, self.memory.memory_units
        width = self.features + int(self.memory.use_bias)
        per_set = self.units // q
        rows = tf.reshape(state.memories, [q * m * per_set, width])
        if self.memory.use_bias:
            # Neither a slice of the memory nor a pass for the biases.
            ones = tf.ones_like(inputs[:, :1])
            inputs = tf.concat([inputs, ones], axis=-1)
        outputs = tf.matmul(inputs, rows, transpose_b=True)
        outputs = tf.reshape(outputs, [-1, q, m, per_set])
        chosen = tf.one_hot(reading.units, m, dtype=weights.dtype)
        mixture = tf.einsum("bqk,bqkm->bqm", weights, chosen)
        outputs = tf.einsum("bqm,bqmr->bqr", mixture, outputs)
        return tf.reshape(outputs, [-1, self.units])

    # State

    @property
    def state_variables(self) -> list[keras.Variable]:
        """The variables in the order of `MemoryState`, as far as it goes."""
        return [self.keys, self.memories, *self._counters]

    def state(self) -> MemoryState:
        """`MemoryState` of the variables; zeros for counters it has not."""
        return self.state_of(map(tf.convert_to_tensor, self.state_variables))

    def state_of(self, values: Any) -> MemoryState:
        """`MemoryState` of values of `state_variables`."""
        values = list(values)
        if not self._counters:
            shape = self.keys.shape[:2]
            values += [tf.zeros(shape, tf.int32)] * 3
            values.append(tf.zeros(shape[:1], tf.int32))
        return MemoryState(*values)

    @property
    def renews_keys(self) -> bool:
        """Whether a forward pass brings the keys to unit length."""
        return (
            self.key.similarity == memory_update.COSINE
            and self.key.key_update != memory_options.WINNER
        )

    def prepared(self, state: MemoryState) -> Tensor:
        """The state that a forward pass reads.

        Cosine keys that gradients train are brought to unit length; as
        published, these are the values to which gradients belong.
        """
        if not self.renews_keys:
            return state
        return state._replace(keys=memory_update.unit_length(state.keys))

    def assign(self, state: MemoryState) -> None:
        """Assigns a `MemoryState` to the variables."""
        for variable, value in zip(self.state_variables, state):
            variable.assign(value)

    def updated(
        self,
        state: MemoryState,
        reading: Reading,
        seed: tf.Tensor | None = None,
        present: tf.Tensor | None = None,
        **changes,
    ) -> MemoryState:
        """(7) to (9): the `MemoryState` after the layer's own update.

        Args:
            state: The state that was read.
            reading: `Reading` of that.
            seed: int32 pair, needed with `random_memories`.
            present: Booleans `(b,)`; examples without do not count.
            **changes: Of `UpdateRule`, for example `key_rate=0.0`.
        """
        rule = self.rule()._replace(**changes)
        return memory_update.updated(state, reading, rule, seed, present)

    def rule(self) -> memory_update.UpdateRule:
        """The `UpdateRule` of this layer."""
        bound = None
        if self.scrambling.random_memories:
            bound = 1.0 / math.sqrt(self.memories.shape[-1])
        return update_rule(self.key, self.scrambling, bound)

    def owned_variables(self) -> list[tuple[str, keras.Variable, Any]]:
        """`(name, variable, initializer)` of each variable."""
        return [(v.name, v, self._initializers[v.name]) for v in self.weights]

    def compute_output_shape(
        self, inputs_shape: Shape, key_input_shape: Shape | None = None
    ) -> Shape:
        del key_input_shape
        return (*inputs_shape[:-1], self.units)

    def compute_output_spec(
        self, inputs: Tensor, key_input: Tensor | None = None
    ) -> keras.KerasTensor:
        del key_input
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.variable_dtype)

    def get_config(self) -> dict[str, Any]:
        options = ungrouped(self.memory, self.key, self.scrambling)
        return {**super().get_config(), "units": self.units, **options}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "MemoryDense":
        return super().from_config(grouped(config))
