"""A process that opens many runs holds the graphs of none that is closed."""

import gc
import weakref

import pytest
import tensorflow as tf

from tests.testing import toy_run
from tfcl.engine import traces


@pytest.fixture(scope="module", autouse=True)
def _no_figures():
    with toy_run.no_figures():
        yield


@pytest.fixture(autouse=True)
def _no_other_run_is_open(monkeypatch):
    """Tests of other files may keep runs that they never closed."""
    monkeypatch.setattr(traces.Traces, "_open", weakref.WeakSet())


def _graph_of_a_users_own():
    @tf.custom_gradient
    def doubled(x):
        return 2.0 * x, lambda upstream: 2.0 * upstream

    return tf.function(doubled).get_concrete_function(
        tf.TensorSpec((), tf.float32)
    )


def test_a_closed_run_leaves_no_graph_behind(tmp_path):
    mine = _graph_of_a_users_own()
    before = traces.custom_gradients()
    assert before and mine is not None
    stream = toy_run.toy_stream((2,))
    found = []
    for number in range(2):
        run = toy_run.open_run(tmp_path / str(number), stream=stream)
        run.start({})
        toy_run.learn_stream(run)
        assert traces.custom_gradients() > before
        run.close()
        run.close()
        assert traces.custom_gradients() == before
        found.append(weakref.ref(run.method))
        del run
    gc.collect()
    assert [method() for method in found] == [None, None]


def test_a_run_that_is_open_keeps_what_it_has_traced(tmp_path):
    before = traces.custom_gradients()
    one, other = traces.Traces(), traces.Traces()
    mine = _graph_of_a_users_own()
    traced = traces.custom_gradients()
    other.close()
    other.close()
    assert mine is not None and traces.custom_gradients() == traced > before
    one.close()
    assert traces.custom_gradients() == before


def test_a_run_that_was_never_closed_keeps_no_graph_of_others():
    before = traces.custom_gradients()
    dropped, one = traces.Traces(), traces.Traces()
    mine = _graph_of_a_users_own()
    del dropped
    gc.collect()
    one.close()
    assert mine is not None and traces.custom_gradients() == before
