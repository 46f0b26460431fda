"""What a `ReplayBuffer` keeps, gives back, and refuses."""

import numpy as np
import pytest
import tensorflow as tf

from tfcl.replay.balanced import Balanced
from tfcl.replay.buffer import ReplayBuffer
from tfcl.replay.table import Column

_COLUMNS = {"images": Column((1,)), "labels": Column((), "int32")}


def _built(*args, classes=None, columns=None, **kwargs):
    buffer = ReplayBuffer(*args, **kwargs)
    buffer.build(_COLUMNS if columns is None else columns, classes)
    return buffer


def _examples(labels):
    labels = tf.constant(labels, tf.int32)
    return {"images": tf.cast(labels, tf.float32)[:, None], "labels": labels}


def _offer(buffer, labels, seed):
    draws = buffer.draws(len(labels), seed)
    buffer.insertion(_examples(labels), draws)()


def test_columns_of_any_shape_and_dtype_come_back_as_they_went_in():
    columns = {
        "images": Column((2, 2, 3), "uint8"),
        "logits": Column((4,)),
        "tasks": Column((), "int64"),
    }
    buffer = _built(3, columns=columns)
    generator = np.random.default_rng(0)
    examples = {
        "images": generator.integers(0, 256, (3, 2, 2, 3)).astype(np.uint8),
        "logits": generator.normal(size=(3, 4)).astype(np.float32),
        "tasks": np.array([2, 1 << 40, 0]),
    }
    buffer.insertion(examples, buffer.draws(3, [0, 1]))()
    found = buffer.examples(tf.constant([2, 0]))
    assert list(found) == list(columns)
    for name, value in examples.items():
        np.testing.assert_array_equal(found[name], value[[2, 0]])
        assert found[name].dtype.name == columns[name].dtype


def test_the_state_is_that_of_checkpoints_written_before():
    """Checkpoints find variables by their place in `Method.state`."""
    names = [v.name for v in _built(3).variables]
    assert names == ["images", "labels", "seen"]
    numbers = _built(3, "balanced", classes=2, columns={})
    assert [(v.name, tuple(v.shape)) for v in numbers.variables] == [
        ("numbers", (2, 3)),
        ("counts", (2,)),
        ("order", (2,)),
        ("seen", ()),
    ]


# Insertion


def test_each_example_has_the_same_chance_in_a_textbook_reservoir():
    counts = np.zeros(12)
    buffer = _built(3)

    @tf.function
    def offer(step, seed):
        draws = buffer.draws(1, tf.stack([seed, step]))
        examples = {"images": tf.cast([[step]], tf.float32), "labels": [step]}
        buffer.insertion(examples, draws)()

    for seed in tf.range(300):
        buffer.policy.seen.assign(0)
        for step in tf.range(12):
            offer(step, seed)
        counts[buffer["labels"].numpy()] += 1
    # 75 expected, standard deviation 7.5.
    assert (np.abs(counts - 75) < 30).all(), counts


def test_the_published_reservoir_always_keeps_the_first_after_it_is_full():
    for seed in range(20):
        buffer = _built(3, reservoir_draw="published")
        for step in range(4):
            _offer(buffer, [step], [seed, step])
        assert 3 in buffer["labels"].numpy()


def test_a_coin_decides_who_enters_a_full_buffer():
    buffer = _built(4, "random")
    draws = buffer.draws(4000, [1, 2]).numpy()
    # 2000 expected, standard deviation 32; of each place 500, 21.
    assert abs((draws < 0).sum() - 2000) < 130
    assert (np.abs(np.bincount(draws[draws >= 0]) - 500) < 85).all()
    _offer(buffer, range(40), [0, 3])
    assert buffer["labels"].numpy().min() > 3  # The recent ones.


def test_of_a_batch_the_last_example_for_a_place_counts():
    buffer = _built(2)
    examples = _examples([5, 6, 7, 8, 9])
    buffer.insertion(examples, tf.constant([0, 0, 1, 9, 1]))()
    assert buffer["labels"].numpy().tolist() == [5, 9]
    assert buffer["images"].numpy().ravel().tolist() == [5.0, 9.0]
    buffer.insertion(_examples([5, 6]), tf.constant([-1, 7]))()
    assert buffer["labels"].numpy().tolist() == [5, 9]
    assert int(buffer.policy.seen) == 7


@pytest.mark.parametrize("at_once", [1, 7])
def test_a_balanced_buffer_has_the_rows_of_the_examples_it_counts(at_once):
    """Rows are held against the numbers, which follow the golden file."""
    labels = np.random.default_rng(1).integers(0, 3, 42)
    labels[:9] = 2  # One class alone at first.
    buffer = _built(6, "balanced", classes=4)
    alone = _built(6, "balanced", classes=4, columns={})
    for k in range(0, len(labels), at_once):
        part = labels[k : k + at_once]
        draws = buffer.draws(len(part), [4, k])
        numbers = tf.cast(tf.range(k, k + len(part)), tf.float32)[:, None]
        examples = {"images": numbers, "labels": part}
        buffer.insertion(examples, draws)()
        alone.insertion({"labels": part}, draws)()
        kept = buffer.policy.kept()
        assert kept == alone.policy.kept()
        assert len(kept) == int(buffer.filled) == min(6, k + len(part))
        rows = buffer["images"].numpy().ravel()[: len(kept)]
        assert sorted(rows) == sorted(kept)
        where = rows.astype(int)
        np.testing.assert_array_equal(
            buffer["labels"].numpy()[: len(kept)], labels[where]
        )
    assert np.bincount(labels[kept]).tolist() == [2, 2, 2]


# Retrieval


@pytest.mark.parametrize("retrieval", ["uniform", "per_class"])
def test_examples_are_drawn_once_each_and_only_what_is_there(retrieval):
    buffer = _built(5, retrieval=retrieval)
    places, weights = buffer.retrieve(4, [1, 2])
    assert not weights.numpy().any()
    _offer(buffer, [7, 7, 8], [0, 0])
    places, weights = buffer.retrieve(4, [1, 2])
    assert weights.numpy().tolist() == [1, 1, 1, 0]
    assert sorted(places.numpy()[:3]) == [0, 1, 2]


def test_uniform_retrieval_gives_every_example_the_same_chance():
    buffer = _built(6)
    _offer(buffer, [0, 0, 0, 0, 1], [0, 0])
    found = [buffer.retrieve(2, [3, k])[0].numpy() for k in range(500)]
    # 200 expected, standard deviation 11.
    counts = np.bincount(np.concatenate(found), minlength=6)
    assert (np.abs(counts[:5] - 200) < 45).all() and counts[5] == 0


def test_retrieval_per_class_goes_round_the_classes():
    buffer = _built(8, retrieval="per_class")
    _offer(buffer, [0, 0, 0, 0, 0, 1, 2], [0, 0])
    firsts = []
    for k in range(300):
        places = buffer.retrieve(4, [3, k])[0]
        labels = buffer.examples(places)["labels"].numpy()
        assert sorted(labels) == [0, 0, 1, 2]
        assert labels[-1] == 0
        firsts.append(places.numpy()[0])
    # Each class leads as often; of class 0 every example does.
    counts = np.bincount(firsts, minlength=7)
    assert (np.abs([counts[:5].sum(), *counts[5:]] - np.array(100)) < 33).all()
    assert (counts[:5] > 5).all()


# What users get wrong


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: ReplayBuffer(0), "capacity"),
        (lambda: ReplayBuffer(4, "newest"), "policy"),
        (lambda: ReplayBuffer(4, reservoir_draw="n"), "reservoir_draw"),
        (lambda: ReplayBuffer(4, retrieval="best"), "retrieval"),
        (lambda: _built(4, "balanced"), "classes"),
        (lambda: _built(4, columns={}, retrieval="per_class"), "columns"),
        (lambda: _built(4)["logits"], "name"),
        (lambda: _built(4).insertion({"images": [[1.0]]}, [0]), "examples"),
        (
            lambda: _built(4, Balanced(), classes=2, columns={}).insertion(
                _examples([1]), [0.5]
            ),
            "examples",
        ),
    ],
)
def test_wrong_arguments_are_named(make, argument):
    with pytest.raises(ValueError, match=f"`{argument}`.*Received"):
        make()
