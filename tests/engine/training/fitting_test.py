"""Epochs, their records, and the epoch that is kept.

`tests/engine/best_epoch_test.py` says the same of real networks.
"""

import math

import pytest

from tests.engine.training.parts import Bench, FakeEvaluator, FakeRunner
from tfcl.engine.storage.position import Peak
from tfcl.engine.training.fitting import Fitting
from tfcl.errors import Interrupted
from tfcl.methods.work import Phase
from tfcl.optimizers.schedules import Constant


def _fitting(bench):
    return Fitting(
        bench.method,
        bench.stretches,
        bench.evaluator,
        bench.saver,
        bench.observer,
    )


def _phase(epochs=3, **kwargs):
    return Phase("train", epochs, {"main": Constant(0.5)}, **kwargs)


def test_every_epoch_leaves_a_record():
    bench = Bench(accuracies=(0.5, 0.75, 0.25))
    result = _fitting(bench).perform(bench.task, _phase())
    assert bench.place.history == bench.observer.epochs
    assert bench.place.history[1] == {
        "train/loss": 2.0,
        "validation/loss": 0.25,
        "validation/accuracy": 0.75,
        "prior": [0.25, 0.75],
    }
    # Of the last epoch, scalars only.
    assert result == {
        "epochs": 3,
        "train/loss": 2.0,
        "validation/loss": 0.75,
        "validation/accuracy": 0.25,
    }
    assert bench.journal.run_epoch == bench.journal.position.epochs == 3
    assert (bench.place.epoch, bench.place.step) == (3, 0)
    assert bench.place.sums == {}


def test_skipped_steps_do_not_count_in_the_mean():
    bench = Bench(FakeRunner("skip", bad=1), accuracies=(0.5,))
    result = _fitting(bench).perform(bench.task, _phase(1))
    assert result["train/loss"] == 2.0
    assert bench.place.skipped == 0


def test_the_last_epoch_is_validated_and_those_that_are_due():
    bench = Bench(accuracies=(0.5, 0.5))
    _fitting(bench).perform(bench.task, _phase(3, validate_every=2))
    known = ["validation/loss" in record for record in bench.place.history]
    assert known == [False, True, True]


@pytest.mark.parametrize("best_after, best", [(0, 2), (2, 3)])
def test_the_result_is_that_of_the_best_epoch(best_after, best):
    accuracies = (0.5, 0.75, 0.25)
    bench = Bench(accuracies=accuracies)
    phase = _phase(restore_best=True, best_after=best_after)
    result = _fitting(bench).perform(bench.task, phase)
    assert result["best_epoch"] == bench.place.best.epoch == best
    assert result["validation/accuracy"] == accuracies[best - 1]


def test_a_resumed_phase_knows_its_best_epoch():
    bench = Bench(accuracies=(0.5, 0.75))
    fitting = _fitting(bench)
    fitting.perform(bench.task, _phase(2, restore_best=True))
    bench.evaluator = FakeEvaluator((0.7,))
    result = _fitting(bench).perform(bench.task, _phase(3, restore_best=True))
    assert result["best_epoch"] == 2
    assert [note.epoch for note in bench.best_weights.notes] == [1, 2]


def test_an_epoch_that_is_not_finite_is_worth_nothing():
    bench = Bench(FakeRunner(bad=1))
    phase = _phase(2, restore_best=True, on_nonfinite="restore")
    result = _fitting(bench).perform(bench.task, phase)
    assert result["best_epoch"] == 0
    assert math.isnan(result["validation/accuracy"])
    assert not bench.evaluator.measured


def test_a_stop_behind_a_bad_epoch_is_saved_with_the_epoch():
    bench = Bench(FakeRunner(bad=1))
    bench.stop_wished = True
    phase = _phase(2, restore_best=True, on_nonfinite="restore")
    with pytest.raises(Interrupted):
        _fitting(bench).perform(bench.task, phase)
    assert len(bench.checkpoints.texts) == 1
    assert (bench.place.epoch, bench.place.step) == (1, 0)


def test_the_peak_is_tested_when_the_validation_is_strictly_better():
    bench = Bench()
    # Validation, test; then equal validations, which do not count.
    bench.evaluator = FakeEvaluator((0.5, 0.9, 0.5, 0.4), record_peak=True)
    _fitting(bench).perform(bench.task, _phase())
    assert bench.journal.position.peak == Peak(1, 0.5, 0.9)


def test_a_rule_ends_the_phase_and_its_last_epoch_is_validated():
    bench = Bench(accuracies=(0.5,))
    phase = _phase(
        9, validate_every=0, stop=lambda clock: len(clock.history) == 2
    )
    assert _fitting(bench).perform(bench.task, phase)["epochs"] == 2
    assert "validation/loss" in bench.place.history[1]
