"""Replay task by task: what it replays, and that this is of use."""

import functools

import numpy as np
import pytest

from tfcl.data.scenarios.class_incremental_stream import (
    class_incremental_stream,
)
from tfcl.engine.experiment import Experiment
from tfcl.engine.loop import learn_stream
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.baselines.rehearsal import Rehearsal
from tfcl.testing import (
    run_method_test,
    tiny_stream,
    tiny_training,
    undrawn_figures,
)


def _incremental(counts=(2, 2, 2)):
    return class_incremental_stream(tiny_stream(counts))


def _set_up(**kwargs):
    stream = _incremental()
    method = Rehearsal(tiny_training(1), **kwargs)
    method.setup(stream.spec(), seed=0)
    return method, stream.tasks


def test_rehearsal(tmp_path):
    run_method_test(
        lambda: Rehearsal(tiny_training(), capacity=64),
        tmp_path,
        forgets=True,
        class_counts=(2, 2, 2),
    )


def test_what_has_dropped_out_of_the_reservoir_does_not_come_back():
    method, (first, second, third) = _set_up(capacity=40)
    assert len(method.kept(first)) == 0
    one, two = method.kept(second), method.kept(third)
    size = len(first.train)
    assert len(one) == len(two) == 40 and size == 64
    assert set(two[two < size]) < set(one)
    # Of two tasks of one size about half each.
    assert 10 < (two < size).sum() < 30
    np.testing.assert_array_equal(method.kept(third), two)
    method.seed = 1
    assert (method.kept(third) != two).any()


@pytest.mark.parametrize(("share", "count"), [(0.5, 64), (0.75, 192)])
def test_replayed_examples_make_up_their_share(share, count):
    method, (first, second, _) = _set_up(capacity=30, share=share)
    assert len(method.mixed(first)) == len(first.train)
    mixed = method.mixed(second)
    assert len(mixed) == count + len(second.train)
    np.testing.assert_array_equal(np.bincount(mixed.groups), [count, 64])
    np.testing.assert_array_equal(mixed.images[count:], second.train.images)
    kept = first.train.images[method.kept(second)]
    replayed, times = np.unique(
        mixed.images[:count], axis=0, return_counts=True
    )
    # All of the reservoir, one as often as another.
    np.testing.assert_array_equal(replayed, np.unique(kept, axis=0))
    assert times.max() - times.min() <= 1
    assert method.bank_notes()["replayed_examples"] == {first.name: count}


def test_it_remembers_classes_that_fine_tuning_forgets(tmp_path):
    training = functools.partial(
        tiny_training, 24, 0.003, hidden_units=(64,), dropout=0.0
    )
    kept = {}
    for method in (Rehearsal(training(), 32), FineTuning(training())):
        run = Experiment(
            tmp_path / method.name,
            method=method,
            stream=lambda data_dir: _incremental((2, 2)),
            exports=False,
        )
        with undrawn_figures():
            run.start({})
            learn_stream(run)
        run.close()
        kept[method.name] = run.journal.accuracy_matrix(2)[1]
    assert kept["FineTuning"].tolist() == [0.0, 1.0]
    assert kept["Rehearsal"].min() > 0.9


def test_wrong_arguments_are_named():
    for kwargs in ({"capacity": 0}, {"capacity": 9, "share": 1.0}):
        name = list(kwargs)[-1]
        with pytest.raises(ValueError, match=f"`{name}`.*Received"):
            Rehearsal(tiny_training(), **kwargs)
