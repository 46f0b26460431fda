"""One output layer for all tasks: whose columns are whose."""

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import toy_run
from tfcl.data.scenario import CLASS, DOMAIN, TASK
from tfcl.data.scenarios.in_scenario import in_scenario
from tfcl.methods.replay.der import DER
from tfcl.testing import tiny_training


def _set_up(scenario, counts=(2, 3, 2)):
    method = DER(tiny_training(1), replay_size=4)
    stream = in_scenario(scenario, toy_run.toy_stream(counts))
    method.setup(stream.spec(), 0)
    return method, stream.tasks


@pytest.mark.parametrize(
    ("scenario", "counts", "outputs", "columns"),
    [
        (TASK, (2, 3, 2), 7, [2, 3, 4]),
        (DOMAIN, (2, 2, 2), 2, [0, 1]),
        (CLASS, (2, 3, 2), 7, [0, 1, 2, 3, 4]),
    ],
)
def test_the_columns_of_a_task(scenario, counts, outputs, columns):
    method, tasks = _set_up(scenario, counts)
    assert method.head.num_outputs == outputs
    assert [owned.name for owned in method.slot] == ["head/columns"]
    for task in tasks[:2]:
        method.begin_task(task)
    assert method.head.active_columns.tolist() == columns
    labels = tasks[1].train.labels
    found = np.unique(method.columns_of(tf.constant(labels)))
    own = columns if scenario != CLASS else columns[2:]
    assert found.tolist() == own
    assert [v.shape[-1] for v in method.widening[:2]] == [outputs] * 2


@pytest.mark.parametrize(
    ("scenario", "rivals"),
    [(TASK, [(0, 1), (2, 3, 4)]), (CLASS, [(0, 1, 2, 3, 4)] * 2)],
)
def test_a_class_competes_with_what_a_test_image_may_be(scenario, rivals):
    method, tasks = _set_up(scenario)
    for task in tasks[:2]:
        method.begin_task(task)
    outputs = tf.random.stateless_normal((2, 7), [1, 2])
    found = method.among_rivals(outputs, tf.constant([1, 3])).numpy()
    for row, output, columns in zip(found, outputs.numpy(), rivals):
        assert np.flatnonzero(row > -1e8).tolist() == list(columns)
        np.testing.assert_array_equal(row[list(columns)], output[list(columns)])
