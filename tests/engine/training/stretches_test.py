"""What is noted of steps, and when a run saves or stops between them."""

import dataclasses
import json

import numpy as np
import pytest

from tests.engine.training.parts import STREAM, Bench, FakeRunner
from tfcl.errors import Interrupted, RunError
from tfcl.methods.work import Accumulate, Phase, Scan
from tfcl.optimizers.schedules import Constant

_RATES = {"main": Constant(0.5)}


def _phase(**kwargs):
    return Phase("train", 2, _RATES, **kwargs)


def test_an_epoch_is_cut_into_calls_and_noted_after_each():
    bench = Bench(steps_per_call=3)
    assert bench.stretches.epoch(bench.task, _phase()) == (False, False)
    calls = [call[:3] for call in bench.runner.calls]
    assert calls == [(0, 3, 16), (3, 4, 16)]
    place, position = bench.place, bench.journal.position
    assert (place.step, place.sums) == (4, {"loss": 8.0})
    assert (position.steps, bench.journal.global_step) == (4, 4)
    # The caller counts the epoch.
    assert (place.epoch, position.epochs) == (0, 0)


def test_a_resumed_epoch_goes_on_in_the_same_order():
    straight, resumed = Bench(steps_per_call=2), Bench(steps_per_call=2)
    straight.stretches.epoch(straight.task, _phase())
    resumed.place.step = 2
    resumed.stretches.epoch(resumed.task, _phase())
    assert resumed.runner.calls == straight.runner.calls[1:]


def test_order_and_seed_depend_on_task_phase_and_epoch():
    drawn = set()
    for task in (0, 1):
        for phases in (0, 1):
            for epoch in (0, 1):
                bench = Bench(task=task)
                bench.journal.position.results = [{}] * phases
                bench.place.epoch = epoch
                bench.stretches.epoch(bench.task, _phase())
                drawn.add(bench.runner.calls[0][3:])
    assert len(drawn) == len({seed for seed, _ in drawn}) == 8
    assert len({order for _, order in drawn}) == 8


def test_the_phase_comes_before_the_task_and_the_stream():
    sizes = []
    for own, of_task in ((8, 4), (None, 4), (None, None)):
        bench = Bench()
        task = dataclasses.replace(bench.task, batch_size=of_task)
        bench.stretches.epoch(task, _phase(batch_size=own))
        sizes.append(bench.runner.calls[0][2])
    assert sizes == [8, 4, STREAM.batch_size]


def test_a_checkpoint_is_written_between_calls_alone():
    bench = Bench(steps_per_call=1)
    bench.checkpoints.is_due = True
    bench.stretches.epoch(bench.task, _phase())
    saved = [json.loads(text) for text in bench.checkpoints.texts]
    # Not after the last step: the epoch is not noted yet.
    steps = [each["position"]["phase"]["step"] for each in saved]
    assert steps == [1, 2, 3]
    assert saved[0]["structure"] == {"width": 1}


def test_a_wish_to_stop_saves_behind_the_running_call():
    bench = Bench(steps_per_call=3)
    bench.stop_wished = True
    with pytest.raises(Interrupted, match="Start the same command again"):
        bench.stretches.epoch(bench.task, _phase())
    (text,) = bench.checkpoints.texts
    assert json.loads(text)["position"]["phase"]["step"] == 3


def test_a_step_that_is_not_finite_ends_the_run_by_name():
    bench = Bench(FakeRunner(bad=2))
    phase = _phase()
    bench.stretches.set_rates(phase, bench.stretches.clock(bench.task, phase))
    wanted = "'task_00', phase 'train', epoch 0, step 2, .*rate main 0.5"
    with pytest.raises(RunError, match=wanted):
        bench.stretches.epoch(bench.task, phase)
    assert bench.journal.global_step == 0 and not bench.checkpoints.texts


def test_a_phase_that_restores_goes_on_behind_such_a_step():
    bench = Bench(FakeRunner(bad=2))
    bench.stop_wished = True
    phase = _phase(restore_best=True, on_nonfinite="restore")
    assert bench.stretches.epoch(bench.task, phase) == (True, True)
    assert (bench.place.step, bench.place.skipped) == (3, 1)
    # To be saved when the epoch is noted.
    assert not bench.checkpoints.texts


def test_skipped_steps_are_counted_in_epoch_and_run():
    bench = Bench(FakeRunner("skip", bad=2), steps_per_call=2)
    assert bench.stretches.epoch(bench.task, _phase()) == (False, False)
    assert (bench.place.step, bench.place.skipped) == (4, 1)
    assert bench.place.sums == {"loss": 6.0}
    assert bench.journal.skipped_steps == 1


def test_a_scan_keeps_the_order_and_the_seed_of_the_stream():
    bench = Bench()
    scan = Scan("online", _RATES, batch_size=4, boundaries=(16, 32))
    for boundary in scan.boundaries:
        bench.stretches.scan(bench.task, scan, boundary)
    (first, second) = bench.runner.calls
    assert (first[:3], second[:3]) == ((0, 4, 4), (4, 8, 4))
    assert first[3] == second[3]
    np.testing.assert_array_equal(first[4], range(len(bench.task.train)))


def test_a_pass_that_is_stopped_is_not_saved():
    bench = Bench(FakeRunner(replicas=3), steps_per_call=5)
    for one_by_one, size in ((False, 16), (True, 3)):
        work = Accumulate("sums", len, [], one_by_one=one_by_one)
        bench.stretches.accumulate(bench.task, work, bench.task.test)
        *_, found, _, stretch = bench.runner.passes[-1]
        assert (found, stretch) == (size, 5)
    bench.stop_wished = True
    with pytest.raises(Interrupted):
        bench.stretches.accumulate(bench.task, work, bench.task.test)
    assert not bench.checkpoints.texts
