"""Brute-force search: the same start for all, the best kept, kills survived."""

import math
import types

import numpy as np
import pytest

from tests.testing import toy_run
from tfcl.errors import RunError
from tfcl.methods.lasem.brute_force import BruteForce
from tfcl.methods.lasem.transfers import TuckerTransfer
from tfcl.optimizers.schedules import Clock, InverseTimeDecay
from tfcl.testing import run_method_test, runner_for, tiny_stream, tiny_training

_NAMES = ["11", "01", "10", "00"]


def _values(method):
    owned = method.shared + method.slot
    return {v.name: v.variable.numpy() for v in owned}


def _set_up(transfer=None, **settings):
    method = BruteForce(tiny_training(**settings), transfer)
    stream = tiny_stream()()
    method.setup(stream.spec(), seed=0)
    return method, stream


def _learn_first(method, stream):
    """Ends the first task as if it had been trained."""
    method.begin_task(stream.tasks[0])
    phases = method.phases(stream.tasks[0])
    assert next(phases).name == "train"
    assert not any(method.choice.sharing)
    generator = np.random.default_rng(0)
    for layer in method.layers:
        for variable in layer.own_variables:
            variable.assign(generator.normal(size=variable.shape))
    with pytest.raises(StopIteration):
        phases.send({"validation/accuracy": 0.5})
    method.end_task(stream.tasks[0])


def _search(method, task, accuracies):
    """Drives a task's phases; each candidate leaves its number as a mark."""
    method.begin_task(task)
    phases, result, starts = method.phases(task), None, []
    for number, accuracy in enumerate(accuracies):
        phase = phases.send(result)
        assert phase.name == f"share_{_NAMES[number]}"
        assert method.choice.name == _NAMES[number]
        starts.append(_values(method))
        for owned in method.shared + method.slot:
            if owned.variable.trainable:
                owned.variable.assign(owned.variable + (number + 1.0))
        result = {"validation/accuracy": accuracy}
    with pytest.raises(StopIteration):
        phases.send(result)
    return starts


@pytest.mark.parametrize(
    ("accuracies", "winner"),
    [
        ((0.5, 0.75, 0.25, 0.5), 1),
        ((0.5, 0.75, 0.75, 0.5), 1),  # first on ties
        ((0.0, 0.0, 0.0, 0.0), 0),
        ((0.1, 0.2, 0.3, 0.4), 3),
        ((math.nan, 0.5, 0.25, 0.5), 1),
        ((math.nan, 0.0, math.nan, 0.0), 1),
        ((0.5, math.nan, 0.75, math.nan), 2),
    ],
)
def test_the_best_candidate_is_kept_and_all_start_alike(accuracies, winner):
    method, stream = _set_up()
    _learn_first(method, stream)
    starts = _search(method, stream.tasks[1], accuracies)
    for start in starts[1:]:
        for name, value in start.items():
            if not name.endswith("selection"):
                np.testing.assert_array_equal(value, starts[0][name], name)
    assert method.choice.name == _NAMES[winner]
    for name, value in _values(method).items():
        if name.endswith(("selection", "columns")):
            continue
        wanted = starts[0][name] + (winner + 1.0)
        np.testing.assert_array_equal(value, wanted, name)
    method.end_task(stream.tasks[1])
    notes = method.bank_notes()
    assert notes["configuration"] == _NAMES[winner]
    shown = [None if math.isnan(value) else value for value in accuracies]
    assert notes["validation_accuracies"] == dict(zip(_NAMES, shown))
    assert notes["validation_accuracy"] == accuracies[winner]


def test_a_search_without_any_accuracy_ends_in_one_line():
    method, stream = _set_up()
    _learn_first(method, stream)
    with pytest.raises(RunError, match="No configuration of task 'task_01'"):
        _search(method, stream.tasks[1], (math.nan,) * 4)


def test_optimizers_start_anew_for_every_candidate():
    method, stream = _set_up()
    _learn_first(method, stream)
    method.begin_task(stream.tasks[1])
    phases = method.phases(stream.tasks[1])
    next(phases)
    optimizer = method.optimizers["main"]
    start = [v.numpy() for v in optimizer.variables]
    for variable in optimizer.variables:
        variable.assign(variable + 1)
    phases.send({"validation/accuracy": 0.5})
    for variable, value in zip(optimizer.variables, start):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_shared_kernels_start_from_the_first_task_s_own():
    method, stream = _set_up()
    _learn_first(method, stream)
    banked = method.bank_values()
    starts = _search(method, stream.tasks[1], (0.1, 0.9, 0.2, 0.3))
    for layer in ("conv_0", "conv_1"):
        for part in ("kernel", "bias"):
            np.testing.assert_array_equal(
                starts[0][f"{layer}/shared_{part}"],
                banked[f"{layer}/task_{part}"],
            )
    method.end_task(stream.tasks[1])  # "01"
    # Nobody has shared the first layer: the next task draws it afresh.
    np.testing.assert_array_equal(method.choice.defined.numpy(), [0, 1])
    kept = _values(method)
    method.begin_task(stream.tasks[2])
    now = _values(method)
    name = "conv_{}/shared_kernel".format
    assert (now[name(0)] != kept[name(0)]).any()
    assert (now[name(0)] != starts[0][name(0)]).any()
    np.testing.assert_array_equal(now[name(1)], kept[name(1)])


def test_a_mechanism_without_a_kernel_is_drawn_afresh():
    method, stream = _set_up(TuckerTransfer())
    _learn_first(method, stream)
    assert not method.choice.defined.numpy().any()


def test_the_penalty_counts_shared_layers_only():
    method, stream = _set_up(TuckerTransfer(0.5))
    single = [float(p) for p in method.transfer.penalties(method.layers)]
    for sharing in ((True, True), (False, True), (False, False)):
        method.choice.select(sharing)
        wanted = np.dot(sharing, single)
        np.testing.assert_allclose(method.penalty(), wanted, rtol=1e-6)


def test_rates_count_one_training_per_task():
    decay = InverseTimeDecay(1.0, 0.5)
    method, _ = _set_up(epochs=10, schedule=decay)
    for index in (0, 2):
        task = types.SimpleNamespace(index=index, num_classes=2)
        method.begin_task(task)
        (schedule,) = next(method.phases(task)).rates.values()
        # 180 epochs of candidates do not count.
        rate = schedule(Clock(epoch=3, run_epoch=180, epochs=10))
        assert rate == pytest.approx(1.0 / (1.0 + 0.5 * (10 * index + 3)))


def test_unselected_kernels_are_not_trained():
    method, stream = _set_up(epochs=1)
    runner = runner_for(method, (8, 8, 3))
    task = stream.tasks[0]
    method.begin_task(task)
    phase = next(method.phases(task))
    before = _values(method)
    order = np.arange(len(task.train))
    runner.train(phase, task.train, order, 0, 4, 16, [1, 2], False)
    for name, value in _values(method).items():
        if "/shared_" in name:
            np.testing.assert_array_equal(value, before[name], name)
        elif "/task_" in name:
            assert (value != before[name]).any(), name


def _toy():
    return BruteForce(toy_run.toy_training(epochs=1))


def test_kills_spread_over_a_search_change_nothing(tmp_path):
    with toy_run.no_figures():
        folder = tmp_path / "run"
        with toy_run.Snapshots(folder, tmp_path / "copies") as copies:
            wanted = toy_run.learn(folder, _toy())
        tasks = wanted.results["tasks"]
        assert tasks[0]["method"]["configuration"] == "00"
        for record in tasks[1:]:
            # Each candidate once, none of them again: 4 steps an epoch.
            assert len(record["phases"]) == 4
            assert record["epochs"] == 4 and record["steps"] == 16
            scores = record["method"]["validation_accuracies"]
            best = max(scores, key=scores.get)
            assert record["method"]["configuration"] == best
            assert record["validation_accuracy"] == scores[best]
        # The winner of some task is not the candidate trained last.
        winners = [r["method"]["configuration"] for r in tasks[1:]]
        assert set(winners) != {"00"}, winners
        for moment, copy in copies.spread(7)[1:6]:
            found = toy_run.learn(copy, _toy())
            toy_run.assert_same_outcome(found, wanted, moment)


def test_brute_force_keeps_the_contract(tmp_path):
    run_method_test(
        lambda: BruteForce(tiny_training(10)), tmp_path, forgets=True
    )
