"""Rates and stopping rules as functions of the clock."""

import copy
import math

import pytest

from tfcl.optimizers.schedules import (
    ByTask,
    Clock,
    Constant,
    CosineDecay,
    EarlyStopping,
    InverseTimeDecay,
    Later,
    PlateauDecay,
    PlateauStop,
    StepDecay,
)


def _rates(schedule, epochs, first_run_epoch=0):
    """The rates of a phase's epochs."""
    return [
        schedule(Clock(epoch, first_run_epoch + epoch, epochs))
        for epoch in range(epochs)
    ]


def _epochs_until_stop(rule, values, monitor="validation/loss"):
    """Epochs after which a phase with these validation values ends."""
    history = ()
    for epoch, value in enumerate(values):
        record = {"train/loss": 1.0}
        if value is not None:
            record[monitor] = value
        history += (record,)
        if rule(Clock(epoch + 1, epoch + 1, 1000, history)):
            return epoch + 1
    return None


def test_constant_stays():
    assert _rates(Constant(0.3), 5, first_run_epoch=50) == [0.3] * 5


def test_inverse_time_decay_counts_all_tasks_epochs():
    # The LASEM protocol on CIFAR-100: 1e-4 / (1 + epoch / 4000).
    schedule = InverseTimeDecay(1e-4, 1 / 4000)
    rates = _rates(schedule, 3, first_run_epoch=2000)
    for rate, epoch in zip(rates, (2000, 2001, 2002)):
        assert math.isclose(rate, 1e-4 / (1 + epoch / 4000))
    assert schedule(Clock(0, 4000, 2000)) == 5e-5


def test_inverse_time_decay_may_start_anew_with_every_task():
    schedule = InverseTimeDecay(1.0, 0.5, per_task=True)
    assert _rates(schedule, 3, first_run_epoch=100) == [1.0, 1 / 1.5, 0.5]


def test_no_decay_is_a_constant():
    assert _rates(InverseTimeDecay(0.1, 0.0), 3) == [0.1] * 3


def test_step_decay_multiplies_once_a_milestone_is_done():
    rates = _rates(StepDecay(1.0, (2, 4), 0.5), 6, first_run_epoch=9)
    assert rates == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    assert _rates(StepDecay(1.0, ()), 3) == [1.0] * 3


def test_cosine_decay_runs_from_the_rate_to_the_final_rate():
    schedule = CosineDecay(1.0, 0.2)
    rates = _rates(schedule, 4)
    wanted = [0.2 + 0.4 * (1 + math.cos(math.pi * e / 4)) for e in range(4)]
    for rate, value in zip(rates, wanted):
        assert math.isclose(rate, value)
    assert rates[0] == 1.0
    assert math.isclose(schedule(Clock(2, 99, 4)), 0.6)
    # A phase that goes on stays at the end.
    assert math.isclose(schedule(Clock(4, 4, 4)), 0.2)
    assert math.isclose(schedule(Clock(9, 9, 4)), 0.2)


def test_cosine_decay_of_no_epochs_is_defined():
    assert CosineDecay(0.5)(Clock(0, 0, 0)) == 0.5


@pytest.mark.parametrize(
    "schedule",
    [
        Constant(0.1),
        InverseTimeDecay(0.1, 0.01),
        StepDecay(0.1, (3,)),
        CosineDecay(0.1),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_a_rate_depends_on_the_clock_alone(schedule):
    before = copy.deepcopy(vars(schedule))
    rates = _rates(schedule, 6)
    assert _rates(schedule, 6) == rates
    # As after a restart in the middle.
    assert _rates(copy.deepcopy(schedule), 6)[3:] == rates[3:]
    assert vars(schedule) == before
    assert all(0.0 < rate <= 0.1 for rate in rates)
    assert rates == sorted(rates, reverse=True)


def test_stops_after_patience_epochs_without_improvement():
    rule = EarlyStopping(2)
    assert _epochs_until_stop(rule, [3.0, 2.0, 2.5, 2.0, 1.0]) == 4
    assert _epochs_until_stop(rule, [3.0, 2.0, 2.5, 1.9, 2.0, 1.8]) is None
    assert _epochs_until_stop(rule, [1.0, 1.0, 1.0]) == 3


def test_the_larger_value_can_be_the_better_one():
    rule = EarlyStopping(2, "validation/accuracy", mode="max")
    values = [0.1, 0.5, 0.4, 0.3, 0.9]
    assert _epochs_until_stop(rule, values, "validation/accuracy") == 4


def test_the_first_epochs_must_beat_the_start_if_there_is_one():
    rule = EarlyStopping(2, "validation/accuracy", mode="max", start=0.5)
    key = "validation/accuracy"
    assert _epochs_until_stop(rule, [0.5, 0.4, 0.9], key) == 2
    assert _epochs_until_stop(rule, [0.4, 0.6, 0.5, 0.6], key) == 4


def test_a_later_phase_goes_on_with_a_schedule():
    schedule = StepDecay(1.0, (2, 4), 0.1)
    assert _rates(Later(schedule, 3), 2) == _rates(schedule, 5)[3:]
    cosine = CosineDecay(1.0)
    assert _rates(Later(cosine, 3), 2) == _rates(cosine, 5)[3:]


def test_a_change_below_the_smallest_counts_as_none():
    values = [1.0, 0.95, 0.9, 0.5]
    assert _epochs_until_stop(EarlyStopping(2, min_delta=0.2), values) == 3
    assert _epochs_until_stop(EarlyStopping(2), values) is None


def test_epochs_without_validation_never_end_a_phase():
    nothing = [None] * 4
    rule = EarlyStopping(3)
    assert _epochs_until_stop(rule, nothing) is None
    # Validated every fifth epoch: 5 (best), then 10, which is 5 later.
    values = [*nothing, 1.0, *nothing, 2.0, *nothing, 0.5]
    assert _epochs_until_stop(rule, values) == 10
    values = [*nothing, 2.0, *nothing, 1.0, *nothing, 0.5]
    assert _epochs_until_stop(rule, values) is None


def test_a_value_that_is_not_a_number_is_no_improvement():
    nan = float("nan")
    assert _epochs_until_stop(EarlyStopping(2), [1.0, nan, nan, 0.5]) == 3


def test_stopping_depends_on_the_history_alone():
    rule = EarlyStopping(2)
    history = tuple({"validation/loss": v} for v in (1.0, 2.0, 3.0))
    clock = Clock(3, 3, 10, history)
    assert [rule(clock) for _ in range(3)] == [True] * 3
    assert not rule(Clock(2, 2, 10, history[:2]))
    assert not rule(Clock(0, 7, 10))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(0.0), "learning_rate=0.0"),
        (lambda: Constant(-1), "learning_rate=-1"),
        (lambda: Constant("0.1"), "learning_rate='0.1'"),
        (lambda: Constant(float("nan")), "learning_rate=nan"),
        (lambda: InverseTimeDecay(0.0, 0.1), "learning_rate=0.0"),
        (lambda: InverseTimeDecay(0.1, -0.5), "decay=-0.5"),
        (lambda: StepDecay(0.0, (1,)), "learning_rate=0.0"),
        (lambda: StepDecay(0.1, (4, 2)), r"increasing.*\(4, 2\)"),
        (lambda: StepDecay(0.1, (2, 2)), r"increasing.*\(2, 2\)"),
        (lambda: StepDecay(0.1, (2,), 0.0), r"\(0, 1\].*factor=0.0"),
        (lambda: StepDecay(0.1, (2,), 1.5), r"\(0, 1\].*factor=1.5"),
        (lambda: CosineDecay(0.0), "learning_rate=0.0"),
        (lambda: CosineDecay(0.1, 0.2), "final_rate=0.2"),
        (lambda: CosineDecay(0.1, -0.1), "final_rate=-0.1"),
        (lambda: EarlyStopping(0), "patience=0"),
        (lambda: EarlyStopping(3, mode="best"), "'min' or 'max'.*'best'"),
    ],
)
def test_arguments_out_of_range_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_early_stopping_refuses_to_watch_what_no_history_has():
    with pytest.raises(ValueError, match="monitor"):
        EarlyStopping(patience=2, monitor="val_loss")


# Worked by hand with patience 2 and three decays. After epoch   counter
_BY_HAND = [
    (0.50, 0),  # 1: the first is an improvement                0
    (0.60, 0),  # 2: better                                     0
    (0.60, 0),  # 3: equal is not better                        1
    (0.55, 1),  # 4: first decay                                2, then 0
    (0.61, 1),  # 5: better                                     0
    (0.61, 1),  # 6                                             1
    (0.40, 2),  # 7: second decay                               2, then 0
    (0.60, 2),  # 8                                             1
    (0.61, 3),  # 9: third decay                                2, then 0
    (0.70, 3),  # 10: better, but the last                      0
]


def _plateau_history(count):
    return tuple(
        {"train/loss": 1.0, "validation/accuracy": accuracy}
        for accuracy, _ in _BY_HAND[:count]
    )


@pytest.mark.parametrize("most", [None, 3, 1, 0])
def test_plateaus_decay_the_rate_as_worked_by_hand(most):
    schedule = PlateauDecay(1e-2, patience=2, decays=3, factor=0.1, most=most)
    assert schedule(Clock(0, 0, 300)) == 1e-2
    for epoch, (_, decays) in enumerate(_BY_HAND, start=1):
        counted = decays if most is None else min(decays, most)
        found = schedule(Clock(epoch, epoch, 300, _plateau_history(epoch)))
        assert math.isclose(found, 1e-2 * 0.1**counted), epoch


def test_exactly_one_epoch_runs_after_the_last_decay():
    values = [accuracy for accuracy, _ in _BY_HAND] + [0.8] * 5
    stop = PlateauStop(patience=2, decays=3)
    assert _epochs_until_stop(stop, values, "validation/accuracy") == 10


def test_the_shortest_phase_with_plateaus():
    # Never better than at first: 1 + 3 decays of 5 epochs each, and one more.
    values = [0.5] * 40
    found = _epochs_until_stop(PlateauStop(), values, "validation/accuracy")
    assert found == 17


def test_plateaus_pass_over_what_was_not_validated():
    values = [0.5, None, None, 0.4, None, 0.4, None, 0.4]
    stop = PlateauStop(patience=2, decays=1)
    assert _epochs_until_stop(stop, values, "validation/accuracy") == 8


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"patience": 0}, "`patience` must be int of at least 1"),
        ({"decays": 0}, "`decays` must be int of at least 1"),
        ({"factor": 0.0}, r"`factor` must be float in \(0, 1\]"),
        ({"most": 4}, r"`most` must be 0\.\.3"),
        ({"learning_rate": 0.0}, "`learning_rate` must be float above 0"),
    ],
)
def test_wrong_plateaus_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PlateauDecay(**{"learning_rate": 0.1, **kwargs})


def _of_task(schedule, task, tasks=("birds", "cars")):
    return schedule(Clock(0, 0, 10, task=task, tasks=tasks))


def test_some_tasks_have_schedules_of_their_own():
    schedule = ByTask({"cars": Constant(1e-2)}, Constant(1e-3))
    assert _of_task(schedule, "cars") == 1e-2
    assert _of_task(schedule, "birds") == 1e-3
    assert schedule(Clock(0, 0, 10)) == 1e-3


def test_schedules_of_unknown_tasks_are_refused():
    schedule = ByTask({"planes": Constant(1e-2)}, Constant(1e-3))
    with pytest.raises(ValueError, match="birds, cars. Received: planes"):
        _of_task(schedule, "cars")


def test_a_task_without_a_schedule_is_named():
    schedule = ByTask({"cars": Constant(1e-2)})
    assert _of_task(schedule, "cars") == 1e-2
    with pytest.raises(ValueError, match="no schedule for task 'birds'"):
        _of_task(schedule, "birds")


def test_what_is_no_schedule_is_refused():
    with pytest.raises(ValueError, match="Received for cars: 0.01"):
        ByTask({"cars": 1e-2}, Constant(1e-3))
    with pytest.raises(ValueError, match="Received for cars: None"):
        ByTask({"cars": None})
