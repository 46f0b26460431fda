"""Pruning against the published program, and the exact k-th smallest."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden
from tfcl.layers.masked.straight_through import (
    owned_gradient,
    score_gradient,
)
from tfcl.metrics.ownership import ownership
from tfcl.optimizers.magnitude_pruning import (
    GradualSparsity,
    is_event,
    kth_smallest_magnitude,
    prune_at_once,
    prune_gradually,
    prune_rank,
    sparsity_at,
)
from tfcl.optimizers.owned_weights import without_foreign

_LAYERS = tuple(
    key.removesuffix("/w0")
    for key in golden.load("cpg/gradual_prune.npz")
    if key.endswith("/w0")
)


@pytest.fixture(scope="module", name="data")
def _data():
    return golden.load("cpg/gradual_prune.npz")


def _schedule(data):
    _, initial, target, frequency, begin, end, _ = data["cfg"]
    return GradualSparsity(
        initial, target, int(begin), int(end), int(frequency)
    )


def _last(data, layer):
    calls = len(data["ratio"]) - 1
    weights = data[f"{layer}/w0"] + calls * data[f"{layer}/dw"]
    return weights, data[f"{layer}/owner_steps"][-1]


# The published program


def test_ratios_and_events_are_the_published_ones(data):
    schedule = _schedule(data)
    values = tf.Variable(schedule.vector())
    events = tf.function(lambda s: is_event(s, values))
    ratios = tf.function(lambda s: sparsity_at(s, values))
    last = schedule.begin
    for call, wanted in enumerate(data["ratio"]):
        step = tf.constant(schedule.begin + call)
        assert bool(events(step)) == data["event"][call]
        last = step if data["event"][call] else last
        assert float(ratios(tf.constant(last))) == wanted


def test_owners_after_every_step_are_the_published_ones(data):
    task, schedule = int(data["cfg"][0]), _schedule(data)
    values = tf.Variable(schedule.vector())
    kernels = [tf.Variable(data[f"{layer}/w0"]) for layer in _LAYERS]
    owners = [tf.Variable(data[f"{layer}/owner0"]) for layer in _LAYERS]

    @tf.function
    def event(step):
        return prune_gradually(kernels, owners, task, step, values)

    for call in range(len(data["ratio"])):
        for layer, kernel in zip(_LAYERS, kernels):
            kernel.assign(data[f"{layer}/w0"] + call * data[f"{layer}/dw"])
        after = event(tf.constant(schedule.begin + call))
        for layer, owner, value in zip(_LAYERS, owners, after):
            owner.assign(value)
            np.testing.assert_array_equal(
                owner, data[f"{layer}/owner_steps"][call]
            )
    assert event.experimental_get_tracing_count() == 1


def test_ranks_round_half_to_even_as_published(data):
    ranks = [
        int(prune_rank(ratio, int(count)))
        for ratio, count in zip(data["rank_ratio"], data["rank_n"])
    ]
    np.testing.assert_array_equal(ranks, data["rank"])


@pytest.mark.parametrize("layer", _LAYERS)
def test_foreign_weights_are_zeroed_as_published(data, layer):
    weights, owner = _last(data, layer)
    np.testing.assert_array_equal(
        without_foreign(weights, owner, int(data["cfg"][0])),
        data[f"{layer}/w_zeroed"],
    )


@pytest.mark.parametrize("layer", _LAYERS)
@pytest.mark.parametrize("mode", ["finetune", "prune"])
def test_gradients_are_treated_as_published(data, layer, mode):
    _, owner = _last(data, layer)
    kernel, task = data[f"{layer}/w_zeroed"], int(data["cfg"][0])
    gradient = owned_gradient(
        3 * data[f"{layer}/dw"], kernel, owner, task, weight_decay=0.1
    )
    np.testing.assert_allclose(gradient, data[f"{layer}/{mode}_gw"], rtol=1e-14)
    assert not gradient.numpy()[owner != task].any()
    scores = score_gradient(5 * data[f"{layer}/dw"], owner, task)
    # Scores are not trained while weights are pruned.
    scores = scores if mode == "finetune" else tf.zeros_like(scores)
    np.testing.assert_allclose(scores, data[f"{layer}/{mode}_gp"], rtol=1e-14)


def test_statistics_are_the_published_ones(data):
    task, width = int(data["cfg"][0]), data["cfg"][-1] ** 2
    picks = [data[f"{layer}/pig"] > 0.005 for layer in _LAYERS]
    starts = [data[f"{layer}/owner0"] for layer in _LAYERS]
    ends = [data[f"{layer}/owner_steps"][-1] for layer in _LAYERS]
    for owners, wanted in ((starts, "metrics0"), (ends, "metrics1")):
        found = ownership(owners, task, width, picks)
        assert list(found) == ["sparsity", "own", "free", "shared"]
        np.testing.assert_allclose(
            list(found.values()), data[wanted], rtol=1e-14
        )


# The k-th smallest magnitude


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("digits", [1, 3, None])
def test_the_kth_smallest_is_exact_with_ties_and_extremes(dtype, digits):
    generator = np.random.default_rng(0)
    values = generator.normal(size=(30, 20)) * 10.0 ** generator.integers(
        -30, 30, (30, 20)
    )
    if digits is not None:
        values = generator.normal(size=(30, 20)).round(digits)
    values = values.astype(dtype)
    values[0, :4] = [0.0, -0.0, np.finfo(dtype).tiny, -np.finfo(dtype).max]
    candidates = generator.random((30, 20)) < 0.7
    candidates[0, :4] = True
    wanted = np.sort(np.abs(values[candidates]))
    find = tf.function(
        lambda rank: kth_smallest_magnitude(
            tf.constant(values), tf.constant(candidates), rank
        )
    )
    for rank in [1, 2, 3, 17, 100, len(wanted) - 1, len(wanted)]:
        found = find(tf.constant(rank))
        assert found.dtype == dtype
        assert found.numpy() == wanted[rank - 1], rank


def test_the_kth_smallest_can_be_compiled_by_xla():
    values = tf.random.stateless_normal((50,), (1, 2))
    find = tf.function(kth_smallest_magnitude, jit_compile=True)
    found = find(values, values > -1.0, tf.constant(7))
    wanted = np.sort(np.abs(values[values > -1.0]))[6]
    assert found.numpy() == wanted


def test_only_weights_of_the_task_fall_and_ties_fall_together():
    kernel = tf.constant([0.1, -0.2, 0.2, 0.05, 0.3, 0.2, 0.01, 0.9])
    owner = tf.constant([3, 3, 3, 0, 3, 1, 2, 3], tf.uint8)
    # Six candidates, rank 3: the cut is 0.2, one of them owned by task 1.
    (after,) = prune_at_once([kernel], [owner], 3, 0.5)
    np.testing.assert_array_equal(after, [0, 0, 0, 0, 3, 1, 2, 3])


@pytest.mark.parametrize("owned", [0, 1, 5])
def test_rank_zero_prunes_nothing(owned):
    kernel = tf.constant([0.0, 0.0, 0.1, 0.2, 0.3])
    owner = tf.constant([2] * owned + [1] * (5 - owned), tf.uint8)
    (after,) = prune_at_once([kernel], [owner], 2, 0.1)  # 0.5 rounds to 0
    np.testing.assert_array_equal(after, owner)


def test_sparsity_counts_what_was_freed_before():
    kernel = tf.constant(np.arange(1.0, 11.0), tf.float32)
    owner = tf.ones(10, tf.uint8)
    for sparsity, free in ((0.3, 3), (0.3, 3), (0.5, 5), (1.0, 10)):
        (owner,) = prune_at_once([kernel], [owner], 1, sparsity)
        assert np.count_nonzero(owner.numpy() == 0) == free


# The ramp


def test_the_ramp_is_exact_in_a_graph():
    schedule = GradualSparsity(0.1, 0.2, 7, 7 + 316)
    values = tf.Variable(schedule.vector())
    ramp = tf.function(lambda step: sparsity_at(step, values))
    for step in range(0, 400, 3):
        part = min(max((step - 7) / 316, 0.0), 1.0)
        wanted = 0.2 + (0.1 - 0.2) * math.pow(1.0 - part, 3.0)
        # The last bit decides where a rank lies half-way.
        assert float(ramp(tf.constant(step))) == wanted, step


def test_events_come_every_few_steps_and_end():
    schedule = GradualSparsity(0.0, 0.1, 0, 316, frequency=10).vector()
    events = [s for s in range(500) if bool(is_event(s, schedule))]
    assert events == list(range(10, 311, 10))
    assert float(sparsity_at(events[-1], schedule)) < 0.1
    assert float(sparsity_at(316, schedule)) == 0.1


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((0.2, 0.1, 0, 10), "initial=0.2"),
        ((-0.1, 0.1, 0, 10), "initial=-0.1"),
        ((0.0, 1.1, 0, 10), "target=1.1"),
        ((0.0, 0.1, 10, 10), "begin=10, end=10"),
        ((0.0, 0.1, -1, 10), "begin=-1"),
        ((0.0, 0.1, 0, 10, 0), "frequency=0"),
        ((0.0, 0.1, 0, 10, 1, 0.0), "exponent=0"),
    ],
)
def test_ramps_that_cannot_be_are_refused(arguments, name):
    with pytest.raises(ValueError, match=f"Received: .*{name}"):
        GradualSparsity(*arguments)
