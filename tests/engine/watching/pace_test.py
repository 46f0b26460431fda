"""How far, how fast, how long still: by a clock that the test moves.

And by the steps of a run, which another thread sees while a call goes on.
"""

import threading
import time
import types

import numpy as np
import pytest

from tests.testing import toy_run
from tfcl.engine.storage.checkpoints import CheckpointPolicy
from tfcl.engine.watching.pace import Extent, Pace, clock_text
from tfcl.methods.work import Phase


class _Run:
    """A pace of a run whose clock and steps are set by hand."""

    def __init__(self, visits=(), num_visits=4, seconds=0.0, position=None):
        self.time = 1000.0
        self.made = 0
        journal = types.SimpleNamespace(
            visits=[
                types.SimpleNamespace(seconds=took, phases=[{}] * phases)
                for took, phases in visits
            ],
            seconds=seconds,
            position=position,
        )
        self.pace = Pace(journal, num_visits, lambda: self.time)

    def extent(self, **options):
        settings = {"epochs": 10, "steps": 20, "batch_size": 8}
        return Extent(**{**settings, **options}, steps_made=lambda: self.made)

    def after(self, seconds, steps):
        self.time += seconds
        self.made += steps
        return self.pace.now()


def test_the_rate_leaves_out_what_the_first_step_took():
    run = _Run()
    run.pace.begin(run.extent(), 0, 0)
    moment = run.after(30, 0)  # The graph is made.
    assert moment.images_per_second is moment.task_left is None
    assert run.after(1, 1).images_per_second is None
    moment = run.after(5, 10)
    assert moment.images_per_second == pytest.approx(2 * 8)
    # 189 steps are left; three tasks like this one follow.
    assert moment.task_seconds == pytest.approx(36)
    assert moment.task_left == pytest.approx(189 / 2)
    task = 36 + 189 / 2
    assert moment.run_left == pytest.approx(189 / 2 + 3 * task)
    assert (moment.epoch, moment.step, moment.steps) == (1, 11, 20)
    assert moment.share == pytest.approx(11 / 200)


def test_the_rate_is_that_of_the_last_minute():
    run = _Run()
    run.pace.begin(run.extent(epochs=1000), 0, 0)
    for _ in range(100):
        run.after(1, 10)
    for _ in range(61):
        moment = run.after(1, 1)
    assert moment.images_per_second == pytest.approx(8)


def test_steps_that_are_counted_once_in_a_long_call_are_enough():
    run = _Run()
    run.pace.begin(run.extent(), 0, 0)
    run.after(10, 20)
    assert run.after(5, 0).images_per_second == pytest.approx(2 * 8)


def test_an_epoch_may_end_before_its_last_step():
    run = _Run()
    run.pace.begin(run.extent(), 40, 0)  # Two epochs by an earlier process.
    assert (run.after(1, 5).epoch, run.after(1, 0).step) == (3, 5)
    run.pace.end_epoch(3)
    moment = run.after(1, 1)
    assert (moment.epoch, moment.step) == (4, 1)
    run.pace.end_epoch(10)
    moment = run.pace.now()
    assert (moment.epoch, moment.step, moment.share) == (10, 20, 1.0)


def test_learned_tasks_say_how_long_the_others_take():
    run = _Run(visits=[(100, 1), (300, 1)], seconds=400.0)
    run.pace.begin(run.extent(), 0, 0)
    run.after(1, 1)
    moment = run.after(10, 10)
    assert moment.run_seconds == pytest.approx(411)
    assert moment.task_left == pytest.approx(189)
    assert moment.run_left == pytest.approx(189 + 200)
    # Once a task is learned here, its time counts with what follows it.
    run.after(300, 189)
    run.pace.end_task(1)
    run.pace.begin(run.extent(), 0, 0)
    run.after(1, 1)
    assert run.after(10, 10).run_left == pytest.approx(189)


def test_phases_that_are_to_come_are_known_from_the_task_before():
    run = _Run(visits=[(500, 3)])
    run.pace.begin(run.extent(), 0, 0)
    run.after(1, 1)
    assert run.after(10, 10).task_left == pytest.approx(500 - 11)
    run.pace.begin(run.extent(), 0, 2)  # The last one.
    run.after(1, 1)
    assert run.after(10, 10).task_left == pytest.approx(189)


def test_a_phase_that_a_rule_ends_is_expected_to_be_as_before():
    run = _Run(visits=[(50, 1)])
    run.pace.begin(run.extent(may_stop=True), 0, 0)
    run.after(1, 1)
    assert run.after(10, 10).task_left == pytest.approx(39)


def test_work_without_steps_is_at_no_step():
    run = _Run()
    run.pace.begin(Extent(), 0, 0)
    moment = run.after(3, 0)
    assert (moment.steps, moment.share, moment.run_left) == (0, 0.0, None)


def test_a_task_goes_on_with_the_seconds_it_has_had():
    position = types.SimpleNamespace(seconds=60.0)
    run = _Run(seconds=60.0, position=position)
    run.pace.begin(run.extent(), 0, 0)
    assert run.after(2, 1).task_seconds == pytest.approx(62)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (0.4, "0:00"), (725, "12:05"), (7265, "2:01:05")],
)
def test_times_are_short(seconds, text):
    assert clock_text(seconds) == text


@pytest.fixture(name="run")
def _run(tmp_path):
    """A run at the begin of a task of 512 steps, and that task."""
    stream = toy_run.toy_stream((2,), train_size=8192)
    whole = CheckpointPolicy(steps_per_call=1000)
    run = toy_run.open_run(tmp_path, stream=stream, checkpoints=whole)
    task = run.stream.tasks[0]
    run.method.begin_task(task)
    yield run
    run.close()


def _train(run, last, **options):
    phase = Phase("train", 1, {}, drop_remainder=True, **options)
    split = run.stream.tasks[0].train
    order = np.arange(len(split), dtype=np.int32)
    seed = np.zeros(2, np.int32)
    return run.runner.train(phase, split, order, 0, last, 16, seed, False)


def test_another_thread_sees_the_steps_of_a_call(run):
    _train(run, 2)  # Traced.
    assert run.runner.steps_made() == 2
    thread = threading.Thread(target=_train, args=(run, 400))
    thread.start()
    seen = set()
    while thread.is_alive():
        seen.add(run.runner.steps_made())
        time.sleep(0.002)
    thread.join()
    assert run.runner.steps_made() == 402
    assert len(seen - {2, 402}) > 2, seen


def test_steps_of_a_compiled_loop_count_when_it_ends(run):
    _train(run, 3, jit_compile=True)
    assert run.runner.steps_made() == 3


def test_a_pace_follows_a_runner(run):
    run.journal.begin_task(run.stream.tasks[0])
    run.journal.task_position.begin_phase()
    pace = Pace(run.journal, 1)
    phase = Phase("train", 2, {})
    run.start({})
    extent = run.trainer._stretches.extent(run.stream.tasks[0], phase)
    pace.begin(extent, 0, 0)
    _train(run, 5)
    assert (pace.now().step, pace.now().epochs) == (5, 2)
