"""Streams that withhold the task at test: who is refused, and when."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.methods.class_incremental import class_incremental_test as heads
from tests.testing import toy_run
from tfcl import methods
from tfcl.configuration.gin_internals import configurables
from tfcl.data.scenario import (
    CLASS,
    SCENARIOS,
    announce,
    announced_to,
)
from tfcl.data.scenarios.class_incremental_stream import (
    class_incremental_stream,
)
from tfcl.data.scenarios.repeated_stream import repeated_stream
from tfcl.data.streams.feature_stream import feature_stream
from tfcl.data.task import TaskStream
from tfcl.engine.experiment import Experiment
from tfcl.errors import UserError
from tfcl.methods.base import Method
from tfcl.methods.scenario_fit import MADE_FOR
from tfcl.testing import tiny_training


def _unprepared(data_dir=None):
    raise AssertionError(f"data of {data_dir} are prepared")


_WITHHELD = functools.partial(class_incremental_stream, _unprepared)
_NEEDING = {
    "EWC": lambda: methods.EWC(tiny_training(), heads="per_task"),
    "Individual": lambda: methods.Individual(tiny_training()),
    "SPG": lambda: methods.SPG(
        tiny_training(hidden_units=()), heads="per_task"
    ),
    "HAT": lambda: methods.HAT(tiny_training(hidden_units=())),
    "LASEM": lambda: methods.LASEM(tiny_training()),
    "FineTuning": lambda: methods.FineTuning(tiny_training(), "per_task"),
    "CLR": lambda: methods.CLR(tiny_training()),
    "ProgNN": lambda: methods.ProgNN(tiny_training()),
    "StaticTransfer": lambda: methods.StaticTransfer(tiny_training(), "01"),
}
_FITTING = {
    "FineTuning": lambda: methods.FineTuning(tiny_training(1)),
    "one head": lambda: methods.FineTuning(tiny_training(1), "one"),
    "FrozenBackbone": lambda: methods.FrozenBackbone(tiny_training(1)),
    "Joint": lambda: methods.Joint(tiny_training(1)),
    "EWC": lambda: methods.EWC(tiny_training(1)),
    "LwF": lambda: methods.LwF(tiny_training(1), warm_up_epochs=1),
    "SPG": lambda: methods.SPG(tiny_training(1, hidden_units=())),
    "Rehearsal": lambda: methods.Rehearsal(tiny_training(1), capacity=16),
    "ClassIncremental": heads._method,
    "DER": lambda: methods.DER(tiny_training(1), replay_size=4),
    "ICaRL": lambda: methods.ICaRL(tiny_training(1), capacity=12),
    "SLDA": lambda: methods.SLDA(tiny_training(1)),
    "WA": lambda: methods.WA(tiny_training(1), capacity=12),
}


def test_who_needs_the_task_says_what_of_it_answers():
    found = {name: make().why_not(CLASS) for name, make in _NEEDING.items()}
    assert "by the head (heads='per_task') of the image's" in found["EWC"]
    assert all("what it keeps" not in reason for reason in found.values())


@pytest.mark.parametrize("name", sorted(_NEEDING))
def test_what_needs_the_task_is_refused_before_data_are_prepared(
    name, tmp_path
):
    method = _NEEDING[name]()
    with pytest.raises(UserError) as error:
        Experiment(tmp_path, method=method, stream=_WITHHELD)
    # Commands leave out what gin adds.
    said = str(error.value).partition("\n  In call to")[0]
    assert said.startswith(f"{method.name} ") and "\n" not in said
    assert "the scenario 'class' of class_incremental_stream. " in said
    assert "Methods that fit: FineTuning, " in said
    assert said.endswith("Experiment.scenario = 'task'.")


@pytest.mark.parametrize(
    "stream",
    [
        functools.partial(repeated_stream, _WITHHELD, [0, 1]),
        functools.partial(feature_stream, _WITHHELD, network=_unprepared),
    ],
)
def test_streams_around_such_a_stream_hide_nothing(stream, tmp_path):
    with pytest.raises(UserError, match="EWC answers .* not made for"):
        Experiment(tmp_path, method=_NEEDING["EWC"](), stream=stream)


def test_a_stream_of_one_s_own_says_it_by_its_attribute(tmp_path):
    def own(data_dir=None):
        del data_dir
        known = toy_run.toy_stream()()
        return TaskStream("own", known.tasks, 16, scenario="class")

    with pytest.raises(UserError, match="EWC .* scenario 'class' of own"):
        Experiment(tmp_path, method=_NEEDING["EWC"](), stream=own)


def test_wrapped_streams_pass_on_what_is_known():
    plain = toy_run.toy_stream((2, 2))
    withheld = functools.partial(class_incremental_stream, plain)
    assert repeated_stream(plain, [0, 1, 0]).scenario == "task"
    assert repeated_stream(withheld, [0, 1]).scenario == "class"


def test_no_one_listens_outside():
    heard = []
    with announced_to(lambda *told: heard.append(told)):
        announce(CLASS, "a")
        with announced_to(None):
            announce(CLASS, "b")
    announce(CLASS, "c")
    assert heard == [(CLASS, "a")]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_message_names_every_method_that_fits(scenario):
    public = [getattr(methods, name) for name in dir(methods)]
    every = [
        m
        for m in public
        if isinstance(m, type)
        and issubclass(m, Method)
        and configurables(m.__name__)  # Others are bases.
    ]
    fitting = {m.__name__ for m in every if scenario in m.scenarios}
    told = MADE_FOR[scenario]
    if told.startswith("all but "):
        others = {m.__name__ for m in every} - fitting
        assert others == {*told.removeprefix("all but ").split(", ")}
    else:
        assert fitting == {*told.split(", ")}


@pytest.mark.parametrize("name", sorted(_FITTING))
def test_what_needs_no_task_answers_alike_whichever_is_active(name, tmp_path):
    stream = functools.partial(
        class_incremental_stream, toy_run.toy_stream((2, 2, 2))
    )
    run = toy_run.learn(tmp_path, _FITTING[name](), stream).run
    images = tf.constant(
        np.random.default_rng(0).uniform(-1, 1, (6, 8, 8, 3)), tf.float32
    )
    logits = []
    for visit, task in enumerate(run.stream):
        entry = run.bank.load(visit, task.name)
        run.method.activate(entry.values, task.index)
        logits.append(run.method.predict(images).numpy())
    assert np.ptp(logits[0]) > 0
    np.testing.assert_array_equal(logits[0], logits[1])
    np.testing.assert_array_equal(logits[0], logits[2])
