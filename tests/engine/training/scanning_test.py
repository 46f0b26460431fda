"""A stream is measured at its boundaries."""

import numpy as np

from tests.engine.training.parts import Bench
from tfcl.engine.training.scanning import Scanning
from tfcl.methods.work import Scan
from tfcl.optimizers.schedules import Constant


def _perform(bench):
    scan = Scan(
        "online",
        {"main": Constant(0.25)},
        batch_size=2,
        boundaries=(16, 32, 48),
        measured={"test": bench.task.test},
    )
    scanning = Scanning(bench.stretches, bench.evaluator, bench.saver)
    return scanning.perform(bench.task, scan)


def test_the_result_holds_a_measurement_per_boundary():
    bench = Bench(accuracies=np.arange(6) / 8)
    found = _perform(bench)["validations"]
    assert [each["examples"] for each in found] == [16, 32, 48]
    assert [each["validation/accuracy"] for each in found] == [0, 0.25, 0.5]
    np.testing.assert_array_equal(found[1]["test/accuracies"], [0.375, np.nan])
    assert bench.journal.global_step == 24
    assert bench.journal.run_epoch == bench.journal.position.epochs == 1
    assert bench.method.optimizers["main"].learning_rate.values == [0.25]


def test_a_resumed_scan_goes_on_behind_the_last_boundary():
    bench = Bench(accuracies=(0.5, 0.5))
    bench.place.epoch, bench.place.step = 2, 16
    bench.place.history = [{"examples": 16}, {"examples": 32}]
    found = _perform(bench)["validations"]
    assert [each["examples"] for each in found] == [16, 32, 48]
    assert [call[:2] for call in bench.runner.calls] == [(16, 24)]
