"""Optimizers by name, by function and by example."""

import functools

import keras
import pytest

import tfcl.optimizers
from tfcl.optimizers.given_optimizer import maker_of, rate_of

_OWN = [
    value
    for value in map(
        functools.partial(getattr, tfcl.optimizers), tfcl.optimizers.__all__
    )
    if isinstance(value, type) and issubclass(value, keras.optimizers.Optimizer)
]


@pytest.mark.parametrize("name", ["adam", "AdamW", "SGD", "rmsprop"])
def test_names_of_keras_whatever_their_capitals(name):
    made = maker_of(name)()
    assert type(made).__name__.lower() == name.lower()
    assert maker_of(name)() is not made


def test_a_function_is_taken_as_it_is():
    make = functools.partial(keras.optimizers.Adam, 0.5)
    assert maker_of(make) is make
    assert rate_of(make) == 0.5


@pytest.mark.parametrize("kind", _OWN)
def test_an_example_gives_its_options_not_its_state(kind):
    given = kind(learning_rate=0.003, clipnorm=2.0)
    weight = keras.Variable([1.0])
    given.build([weight])
    given.apply([keras.ops.ones(1)])
    make = maker_of(given)
    given.learning_rate.assign(7.0)  # The pattern was taken before.
    made = make()
    assert type(made) is kind and not made.built
    assert made.clipnorm == 2.0
    assert rate_of(make) == 0.003
    assert made.iterations.numpy() == 0


def test_unknown_names_are_told_with_the_nearest():
    with pytest.raises(ValueError, match="adam, adamax.*Did you mean 'sgd'"):
        maker_of("sgdd")
    with pytest.raises(ValueError, match="rmsprop.*=zzz|rmsprop.*'zzz'"):
        maker_of("zzz")


def test_schedules_of_keras_are_refused():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    said = r"`optimizer` must have a number.*tfcl.optimizers.schedules"
    with pytest.raises(ValueError, match=said):
        maker_of(keras.optimizers.Adam(schedule))
    with pytest.raises(ValueError, match=said):
        rate_of(functools.partial(keras.optimizers.Adam, schedule))
