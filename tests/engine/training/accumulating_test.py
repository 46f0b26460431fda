"""Sums over data."""

from tests.engine.training.parts import Bench
from tfcl.engine.training.accumulating import Accumulating
from tfcl.methods.work import Accumulate


def test_the_pass_goes_over_the_named_data_and_then_takes_the_sums_in():
    bench, order = Bench(), []
    work = Accumulate(
        "sums",
        len,
        [],
        data=bench.task.test,
        then=lambda: order.append(len(bench.runner.passes)),
    )
    result = Accumulating(bench.stretches).perform(bench.task, work)
    assert result == {"examples": len(bench.task.test)}
    assert bench.runner.passes[0][1] == len(bench.task.test)
    assert order == [1]  # After the pass.


def test_without_data_it_is_the_training_split():
    bench = Bench()
    work = Accumulate("sums", len, [])
    result = Accumulating(bench.stretches).perform(bench.task, work)
    assert result == {"examples": len(bench.task.train)}
