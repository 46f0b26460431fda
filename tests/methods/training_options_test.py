"""What all kinds of training share, and that gin still finds it in each."""

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcl import configuration
from tfcl.configuration.checks import annotation, configurables, parameters
from tfcl.errors import UserError
from tfcl.methods.class_incremental.head_training import HeadTraining
from tfcl.methods.online.online_training import OnlineTraining
from tfcl.methods.task_training import TaskTraining
from tfcl.methods.training_options import TrainingOptions
from tfcl.models.backbones.lasem_cnn import lasem_cnn
from tfcl.optimizers.adam_torch import AdamTorch
from tfcl.optimizers.rmsprop import RMSPropTF1
from tfcl.optimizers.schedules import Clock, Constant
from tfcl.optimizers.sgd_momentum import SGDMomentum

_OTHERS = {
    TaskTraining: {"backbone": lasem_cnn},
    HeadTraining: {},
    OnlineTraining: {},
}
_OPTIMIZERS = {
    TaskTraining: RMSPropTF1,
    HeadTraining: SGDMomentum,
    OnlineTraining: AdamTorch,
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


@_KINDS
def test_an_optimizer_goes_by_name_and_its_rate_is_the_schedule(kind):
    named = _make(kind, optimizer="adam", schedule=None)
    assert isinstance(named.make_optimizer(), keras.optimizers.Adam)
    assert named.schedule(Clock(3, 5, 9)) == 0.001
    plain = kind(**_OTHERS[kind])
    (rate,) = {plain.schedule(Clock(k, k, 9)) for k in range(3)}
    made = plain.make_optimizer()
    assert isinstance(made, _OPTIMIZERS[kind])
    np.testing.assert_allclose(made.learning_rate, rate)


@_KINDS
def test_an_optimizer_of_the_users_is_a_pattern(kind):
    given = keras.optimizers.SGD(0.25, momentum=0.5)
    training = _make(kind, optimizer=given, schedule=None)
    one, other = training.make_optimizer(), training.make_optimizer()
    assert one is not other and given not in (one, other)
    assert one.get_config() == given.get_config()
    assert training.schedule(Clock(0, 0, 1)) == 0.25
    assert _make(kind, optimizer=given).schedule(Clock(0, 0, 1)) == 0.1


@_KINDS
def test_a_number_is_a_constant_rate(kind):
    schedule = _make(kind, schedule=0.5).schedule
    assert isinstance(schedule, Constant)
    assert schedule(Clock(7, 7, 9)) == 0.5


@_KINDS
@pytest.mark.parametrize(
    ("argument", "value", "said"),
    [
        ("schedule", 0.0, "a schedule or a rate above 0"),
        ("schedule", "fast", "a schedule or a rate above 0"),
        ("optimizer", 0.1, "a function without arguments to a Keras"),
        ("optimizer", "adm", "a name that Keras knows.* mean 'adam'"),
    ],
)
def test_what_is_neither_is_refused(kind, argument, value, said):
    with pytest.raises(ValueError, match=f"`{argument}` must be {said}"):
        _make(kind, **{argument: value})


@_KINDS
def test_gin_takes_names_and_numbers_and_places_what_is_wrong(kind):
    name = kind.__name__
    good = [f"{name}.optimizer = 'sgd'", f"{name}.schedule = 0.5"]
    try:
        configuration.load([], good)
        training = kind(**_OTHERS[kind])
        assert isinstance(training.make_optimizer(), keras.optimizers.SGD)
        assert training.schedule(Clock(0, 0, 1)) == 0.5
        with pytest.raises(UserError, match="#1: `.*schedule` must be a sched"):
            configuration.load([], [f"{name}.schedule = -1.0"])
    finally:
        gin.clear_config()
