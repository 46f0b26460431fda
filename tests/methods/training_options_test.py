"""What all kinds of training share, and that gin still finds it in each."""

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcl.configuration.checks import annotation, configurables, parameters
from tfcl.methods.class_incremental.head_training import HeadTraining
from tfcl.methods.online.online_training import OnlineTraining
from tfcl.methods.task_training import TaskTraining
from tfcl.methods.training_options import TrainingOptions
from tfcl.optimizers.schedules import Constant

_OTHERS = {
    TaskTraining: {"backbone": None, "epochs": 1},
    HeadTraining: {},
    OnlineTraining: {},
}
_KINDS = pytest.mark.parametrize("kind", _OTHERS)


def _make(kind, **kwargs):
    settings = {
        "optimizer": keras.optimizers.Adam,
        "schedule": Constant(0.1),
        **_OTHERS[kind],
    }
    return kind(**{**settings, **kwargs})


@_KINDS
def test_the_constructor_names_every_argument_with_its_type(kind):
    (entry,) = configurables(kind.__name__)
    known, is_open = parameters(entry)
    assert not is_open
    assert {"optimizer", "schedule", "weight_decay"} <= set(known)
    assert ("augmentation" in known) == (kind is not OnlineTraining)
    assert annotation(entry, "weight_decay") is float


@_KINDS
def test_gin_binds_what_is_shared_for_one_kind_alone(kind):
    with gin.unlock_config():
        try:
            gin.bind_parameter(f"{kind.__name__}.weight_decay", 0.25)
            found = {each: _make(each).weight_decay for each in _OTHERS}
        finally:
            gin.clear_config()
    assert [each for each in found if found[each] == 0.25] == [kind]
    with pytest.raises(
        ValueError, match="`weight_decay` must be float of at least 0"
    ):
        _make(kind, weight_decay=-0.5)


@_KINDS
def test_a_decay_counts_all_rows_and_is_shared_by_replicas(kind):
    training = _make(kind, weight_decay=0.5)
    assert isinstance(training, TrainingOptions)
    assert isinstance(training.make_optimizer(), keras.optimizers.Adam)
    rows = tf.IndexedSlices(
        tf.constant([[2.0]]), tf.constant([1]), tf.constant([2, 1])
    )
    value = tf.Variable([[4.0], [8.0]])
    for gradient in (rows, tf.constant([[0.0], [2.0]])):
        np.testing.assert_array_equal(
            training.with_decay(gradient, value), [[2.0], [6.0]]
        )
        np.testing.assert_array_equal(
            training.with_decay(gradient, value, replicas=2), [[1.0], [4.0]]
        )
