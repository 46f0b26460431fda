"""What a `MemoryDense` changes by itself: keys, counters, scrambled units.

Pure functions of tensors, so that a step may run them several times before
anything is assigned. Shapes everywhere: b examples, q key sets, m memory units
per key set, d entries of a key, u numbers in a unit.

Source: Tiezzi et al., "Memory Head for Pre-Trained Backbones in Continual
Learning", CoLLAs 2024, and the published program, whose order of operations
this keeps: scramble, key step, counters. Numbers in brackets are those of the
list in `tfcl/methods/online/memory_head.py`.
"""

import math
import typing

import tensorflow as tf

COSINE, EUCLIDEAN, DOT = "cosine", "euclidean", "dot"
SIMILARITIES = (COSINE, EUCLIDEAN, DOT)
_LARGE = 4096  # Numbers; above, rows are written one by one.


class MemoryState(typing.NamedTuple):
    """The values of a layer's variables as tensors.

    Attributes:
        keys: K, `(q, m, d)`.
        memories: M, `(q * m, u)`; unit i of key set j is row `j * m + i`.
        usage: mu, times that each key has won, `(q, m)` int32.
        age: eta, examples since it did, `(q, m)` int32.
        key_counter: Times it has won since the start, `(q, m)` int32.
        scrambles: Units replaced so far, `(q,)` int32.
    """

    keys: tf.Tensor
    memories: tf.Tensor
    usage: tf.Tensor
    age: tf.Tensor
    key_counter: tf.Tensor
    scrambles: tf.Tensor


class Reading(typing.NamedTuple):
    """What a forward pass leaves for the update.

    Attributes:
        queries: Projected inputs x_k, `(b, d)`; of unit length for cosine.
        responses: The best `delta` of each key set, descending,
            `(b, q, delta)`.
        units: Their numbers in the key set, same shape, int32.
    """

    queries: tf.Tensor
    responses: tf.Tensor
    units: tf.Tensor


class UpdateRule(typing.NamedTuple):
    """The constants of the update; see `MemoryDense` for their meaning."""

    similarity: str
    bandwidth: float
    moves_keys: bool
    key_rate: float
    scramble: bool
    match_threshold: float
    usage_threshold: int
    age_threshold: int
    scaled_score: bool
    winner_moves: bool
    random_bound: float | None


def unit_length(vectors: tf.Tensor) -> tf.Tensor:
    """Vectors over their length along the last axis, at least 1e-12."""
    # Beside 1e-12 the root's argument would underflow in float32.
    tiny = 1e-37 if vectors.dtype == tf.float32 else 1e-60
    squares = tf.reduce_sum(tf.square(vectors), axis=-1, keepdims=True)
    length = tf.sqrt(tf.maximum(squares, tiny))
    return vectors / tf.maximum(length, 1e-12)


def responses(
    queries: tf.Tensor, keys: tf.Tensor, similarity: str, bandwidth: float
) -> tf.Tensor:
    """(2): s, `(b, q, m)`, of queries `(b, d)` and keys `(q, m, d)`."""
    q, m, d = keys.shape
    if similarity != EUCLIDEAN:
        products = tf.matmul(
            queries, tf.reshape(keys, [q * m, d]), transpose_b=True
        )
        return tf.reshape(products, [-1, q, m]) / math.sqrt(d)
    if (queries.shape[0] or 64) * q * m * d <= 2**20:
        gaps = queries[:, None, None] - keys
        distances = tf.reduce_sum(tf.square(gaps), axis=-1)
    else:  # Differences would take b q m d numbers.
        flat = tf.reshape(keys, [q * m, d])
        distances = tf.reduce_sum(tf.square(queries), -1, keepdims=True)
        distances += tf.reduce_sum(tf.square(flat), -1)
        distances -= 2.0 * tf.matmul(queries, flat, transpose_b=True)
        distances = tf.maximum(tf.reshape(distances, [-1, q, m]), 0.0)
    return tf.exp(-distances / (math.sqrt(d) * bandwidth))


def updated(
    state: MemoryState,
    reading: Reading,
    rule: UpdateRule,
    seed: tf.Tensor | None = None,
    present: tf.Tensor | None = None,
) -> MemoryState:
    """(7) to (9): the state after an example or a batch was learned.

    Gradients belong to the old state and to the units that it had.

    Args:
        state: `MemoryState`.
        reading: `Reading` of a forward pass with this state.
        rule: `UpdateRule`.
        seed: int32 pair, for units that are drawn anew.
        present: Optional booleans `(b,)`: examples that count. All do by
            default.
    """
    winners = reading.units[..., 0]
    if present is None:
        present = tf.ones(tf.shape(winners)[:1], tf.bool)
    here = tf.cast(present, tf.int32)
    counter = state.key_counter + _wins(winners, here, state)
    if rule.scramble:
        state, winners = scrambled(state, reading, winners, present, rule, seed)
    if rule.moves_keys:
        state, winners = key_step(state, reading, winners, present, rule)
    if rule.scramble:
        state = counted(state, winners, here)
    return state._replace(key_counter=counter)


def _wins(winners, here, state):
    """Examples won by each key, `(q, m)` int32."""
    won = tf.one_hot(winners, state.keys.shape[1], dtype=tf.int32)
    return tf.reduce_sum(won * here[:, None, None], axis=0)


def scrambled(
    state: MemoryState,
    reading: Reading,
    winners: tf.Tensor,
    present: tf.Tensor,
    rule: UpdateRule,
    seed: tf.Tensor | None,
) -> tuple[MemoryState, tf.Tensor]:
    """(7): gives the oldest weak unit of each key set to the worst match.

    It happens where the batch's worst response of a winner lies below
    tau_alpha; a unit is weak if mu < tau_mu and eta >= tau_eta.

    Args:
        state, reading, rule, seed: See `updated`.
        winners: Unit that each example reads, `(b, q)` int32.
        present: Booleans `(b,)`.

    Returns:
        The `MemoryState`; and the winners, which are others only with
        `winner_moves`.
    """
    q, m, _ = state.keys.shape
    sets = tf.range(q)
    worst, victim, fires = _replaced(state, reading, present, rule)
    hit = tf.one_hot(victim, m, True, False) & fires[:, None]  # (q, m)
    query = tf.gather(reading.queries, worst)  # (q, d)
    copied = tf.gather_nd(winners, tf.stack([worst, sets], axis=-1))
    if rule.random_bound is None:
        fresh = tf.gather(state.memories, sets * m + copied)
    else:
        fresh = tf.random.stateless_uniform(
            [q, state.memories.shape[-1]],
            seed,
            -rule.random_bound,
            rule.random_bound,
            state.memories.dtype,
        )
    if rule.winner_moves:
        moves = (tf.range(tf.shape(winners)[0])[:, None] == worst) & fires
        winners = tf.where(moves, victim, winners)
    age = state.age
    if rule.winner_moves:
        age = tf.where(hit, 0, age)
    state = state._replace(
        keys=tf.where(hit[..., None], query[:, None], state.keys),
        memories=_with_rows(
            state.memories, sets * m + victim, fresh, fires, hit
        ),
        usage=tf.where(hit, 0, state.usage),
        age=age,
        scrambles=state.scrambles + tf.cast(fires, tf.int32),
    )
    return state, winners


def _replaced(state, reading, present, rule):
    """Of each key set: the example of the worst match, the oldest weak unit,
    and whether that is to replace this; `(q,)` each."""
    q, _, d = state.keys.shape
    best = tf.where(
        present[:, None], reading.responses[..., 0], reading.queries.dtype.max
    )
    worst = tf.argmin(best, axis=0, output_type=tf.int32)
    score = tf.gather_nd(best, tf.stack([worst, tf.range(q)], axis=-1))
    if not rule.scaled_score and rule.similarity != EUCLIDEAN:
        score *= math.sqrt(d)
    weak = (state.usage < rule.usage_threshold) & (
        state.age >= rule.age_threshold
    )
    fires = (score < rule.match_threshold) & tf.reduce_any(weak, axis=-1)
    # Not below 0, so that a weak unit of age 0 comes before a strong one.
    ages = tf.where(weak, state.age + 1, 0)
    return worst, tf.argmax(ages, axis=-1, output_type=tf.int32), fires


def _with_rows(memories, rows, fresh, fires, hit):
    """Memories with fresh rows, one per key set, where it fires."""
    if memories.shape.num_elements() <= _LARGE:
        q, m = hit.shape
        cube = tf.reshape(memories, [q, m, -1])
        cube = tf.where(hit[..., None], fresh[:, None], cube)
        return tf.reshape(cube, memories.shape)
    fresh = tf.where(fires[:, None], fresh, tf.gather(memories, rows))
    return tf.tensor_scatter_nd_update(memories, rows[:, None], fresh)


def key_step(
    state: MemoryState,
    reading: Reading,
    winners: tf.Tensor,
    present: tf.Tensor,
    rule: UpdateRule,
) -> tuple[MemoryState, tf.Tensor]:
    """(8): moves each winning key towards its examples, online k-means.

    The examples of a batch pull together, all from where the key was.

    Args:
        state, reading, rule: See `updated`.
        winners: Unit whose key each example moves, `(b, q)` int32.
        present: Booleans `(b,)`.

    Returns:
        The `MemoryState`; and the winners for the counters, which of a batch
        are those by the moved keys.
    """
    keys = state.keys
    d = keys.shape[-1]
    queries = reading.queries
    won = tf.one_hot(winners, keys.shape[1], dtype=keys.dtype)  # (b, q, m)
    won *= tf.cast(present, keys.dtype)[:, None, None]
    if rule.similarity == EUCLIDEAN:
        # k + sum of r s (q - k), with r = beta / (sqrt(d) sigma).
        rate = rule.key_rate / (math.sqrt(d) * rule.bandwidth)
        weights = won * (rate * reading.responses[..., :1])
        pull = tf.einsum("bqm,bd->qmd", weights, queries)
        moved = keys + pull - tf.reduce_sum(weights, axis=0)[..., None] * keys
    else:
        # k + sum of beta q; the length of 1 comes below.
        rate = rule.key_rate
        if rule.similarity == DOT:
            rate /= math.sqrt(d)
        moved = keys + tf.einsum("bqm,bd->qmd", rate * won, queries)

    def one():
        result = moved
        if rule.similarity == COSINE:
            any_won = tf.reduce_any(won > 0, axis=0)[..., None]
            result = tf.where(any_won, unit_length(moved), moved)
        return result, winners

    # As published, a batch renews the length of all keys, and its winners
    # are found again.
    def several():
        result = unit_length(moved) if rule.similarity == COSINE else moved
        again = responses(queries, result, rule.similarity, rule.bandwidth)
        return result, tf.argmax(again, axis=-1, output_type=tf.int32)

    if queries.shape[0] is None:
        keys, winners = tf.cond(tf.shape(queries)[0] == 1, one, several)
    else:
        keys, winners = one() if queries.shape[0] == 1 else several()
    return state._replace(keys=keys), winners


def counted(
    state: MemoryState, winners: tf.Tensor, here: tf.Tensor
) -> MemoryState:
    """(9): usage of the winners, and age of all keys.

    Args:
        state: `MemoryState`.
        winners: Unit that each example has used, `(b, q)` int32.
        here: 1 for examples that count, 0 for others, `(b,)` int32.
    """
    wins = _wins(winners, here, state)
    # All keys age by the examples of the batch; winners start anew.
    age = tf.where(wins > 0, 0, state.age) + tf.reduce_sum(here)
    return state._replace(usage=state.usage + wins, age=age)
