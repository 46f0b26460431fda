"""Each kind of work has one who performs it."""

import dataclasses
import types
import typing

import pytest

from tests.engine.training.parts import Bench
from tfcl.engine.training.trainer import Trainer
from tfcl.methods import work as kinds
from tfcl.methods.work import Accumulate, Decision, Phase, Scan, Validate


def _trainer(bench):
    return Trainer(
        bench.method,
        bench.stretches,
        bench.evaluator,
        bench.saver,
        bench.observer,
    )


def _examples():
    return {
        Phase: Phase("fit", 1, {}),
        Scan: Scan("scan", {}, boundaries=(16,)),
        Accumulate: Accumulate("sum", len, []),
        Validate: Validate("look"),
        Decision: Decision("decide", lambda: 1),
    }


def test_there_is_an_example_of_every_kind():
    assert set(_examples()) == set(typing.get_args(kinds.Work))


@pytest.mark.parametrize("kind", _examples())
def test_every_kind_gets_its_result(kind):
    wanted = {
        Phase: "epochs",
        Scan: "validations",
        Accumulate: "examples",
        Validate: "validation/loss",
        Decision: "value",
    }
    bench, work = Bench(accuracies=(0.5,)), _examples()[kind]
    _trainer(bench).perform(bench.task, work)
    assert wanted[kind] in work.result
    assert bench.observer.begun == [work.name]


def test_a_kind_of_a_kind_is_performed_as_that():
    @dataclasses.dataclass(eq=False)
    class Careful(Decision):
        pass

    bench, work = Bench(), Careful("decide", lambda: 2)
    _trainer(bench).perform(bench.task, work)
    assert work.result == {"value": 2}


def test_what_is_no_work_is_refused():
    bench = Bench()
    work = types.SimpleNamespace(name="nap")
    with pytest.raises(TypeError, match="Phase, Scan.*Received.*nap"):
        _trainer(bench).perform(bench.task, work)
    assert not bench.observer.begun


def test_the_time_of_work_is_noted_even_if_it_fails():
    bench = Bench()
    with pytest.raises(ZeroDivisionError):
        _trainer(bench).perform(bench.task, Decision("d", lambda: 1 / 0))
    seconds = bench.journal.seconds
    assert seconds == bench.journal.position.seconds > 0
    bench.saver.save()  # Between two pieces of work no time is counted.
    assert bench.journal.seconds == seconds


def test_the_observer_is_told_how_long_work_is_and_when_it_ends():
    bench = Bench(accuracies=(0.5,) * 2)
    fit = Phase("fit", 2, {"main": lambda clock: 0.25})
    _trainer(bench).perform(bench.task, fit)
    (extent,) = bench.observer.extents
    assert extent[:5] == (2, 4, 16, {"main": 0.25}, False)
    assert extent.steps_made() == len(bench.runner.calls)
    assert bench.observer.rates == [{"main": 0.25}] * 2
    assert bench.observer.ended == 1


@pytest.mark.parametrize(
    ("work", "wanted"),
    [
        (Scan("scan", {}, batch_size=4, boundaries=(16, 32)), (1, 8, 4)),
        (Accumulate("sum", len, []), (1, 4, 16)),
        (Accumulate("sum", len, [], one_by_one=True), (1, 64, 1)),
        (Phase("fit", 3, {}, batch_size=128), (3, 1, 64)),
        (Phase("fit", 3, {}, batch_size=48, drop_remainder=True), (3, 1, 48)),
        (Validate("look"), (1, 0, 0)),
    ],
)
def test_the_extent_of_work_is_in_steps(work, wanted):
    bench = Bench()
    assert bench.stretches.extent(bench.task, work)[:3] == wanted


def test_a_rule_may_end_a_phase_early():
    bench = Bench()
    stopping = Phase("fit", 3, {}, stop=lambda clock: False)
    assert bench.stretches.extent(bench.task, stopping).may_stop
