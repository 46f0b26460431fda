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
