"""Ladders of pruning: what a small task prunes, and what is said of it."""

import functools
import json

import gin
import numpy as np
import pytest
from absl import logging

from tests.methods.cpg.masked_training import masked_training
from tests.testing import toy_run
from tfcl import configuration
from tfcl.configuration import parts
from tfcl.errors import UserError
from tfcl.methods.cpg.accuracy_goals import SameGoal
from tfcl.methods.cpg.cpg import CPG
from tfcl.methods.cpg.cpg_phases import PruningLadder
from tfcl.methods.cpg.packnet import PackNet
from tfcl.optimizers.magnitude_pruning import is_event, sparsity_at
from tfcl.optimizers.schedules import Constant
from tfcl.testing import learned


def ladder(frequency, **kwargs):
    settings = {"epochs": 2, "ramp_epochs": 1, "frequency": frequency}
    return PruningLadder(Constant(1e-3), (0.4, 0.6), **{**settings, **kwargs})


def cpg(pruning, goal=0.0, **kwargs):
    return CPG(
        masked_training(1, 0.02),
        SameGoal(goal),
        pruning=pruning,
        picking_schedule=Constant(1e-2),
        **kwargs,
    )


def _events(ramp):
    vector = ramp.vector()
    return [s for s in range(ramp.end + 1) if is_event(s, vector)]


@pytest.mark.parametrize(
    ("frequency", "steps", "wanted"),
    [
        # Not one event would come.
        (100, 1, [1]),
        (100, 4, [1, 2, 3, 4]),
        (100, 10, [2, 4, 6, 8, 10]),
        (1000, 99, [24, 48, 72, 96]),
        # Enough steps: as they were, even with a single event.
        (10, 10, [10]),
        (50, 99, [50]),
        (3, 10, [3, 6, 9]),
    ],
)
def test_a_ramp_that_is_too_short_is_adapted_and_no_other(
    frequency, steps, wanted
):
    ramp = ladder(frequency).ramp(0.0, 0.5, steps)
    assert _events(ramp) == wanted
    if frequency > steps:
        reached = float(sparsity_at(wanted[-1], ramp.vector()))
        assert reached == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("frequency", "steps", "wanted"),
    [(4, 4, [1, 2, 3]), (3, 4, [3]), (100, 10, [2, 4, 6, 8])],
)
def test_a_run_that_ends_with_its_ramp_has_a_step_less(
    frequency, steps, wanted
):
    pruning = ladder(frequency, epochs=1)
    ramp = pruning.ramp(0.0, 0.5, steps)
    # The steps of the run are 0, ..., steps - 1.
    assert [s for s in _events(ramp) if s < steps] == wanted
    assert pruning.last_step(steps) == steps - 1


def test_a_run_of_one_step_is_refused():
    with pytest.raises(UserError, match="'x' could prune up to step 0 .*more"):
        ladder(1, epochs=1).check_ramp("x", 1)


def test_the_published_schedule_is_unchanged():
    # Experiment 1: 79 steps an epoch.
    ramp = PruningLadder(Constant(1e-3)).ramp(0.0, 0.1, 79)
    assert _events(ramp) == list(range(10, 311, 10))


def _warnings(monkeypatch):
    said = []
    monkeypatch.setattr(
        logging, "warning", lambda text, *args: said.append(text % args)
    )
    return said


def test_a_small_task_is_pruned_and_the_log_says_so(tmp_path, monkeypatch):
    said = _warnings(monkeypatch)
    run = learned(tmp_path, cpg(ladder(1000)), class_counts=(2, 2))
    notes = [task["method"] for task in run.results()["tasks"]]
    assert [note["sparsity"] for note in notes] == pytest.approx(
        [0.6, 0.6], abs=0.02
    )
    # Without pruning, the second task would own nothing.
    assert run.results()["tasks"][1]["method"]["ownership"]["own"] > 0.1
    assert [line for line in said if "PruningLadder" in line] == [
        f"PruningLadder: a pruning run of task 'task_0{k}' could prune up to "
        "step 4 (ramp_epochs=1 of epochs=2, steps per epoch: 4), but the first "
        "time is step frequency=1000; it prunes every 1 steps instead "
        "(PruningLadder.short_ramp)."
        for k in range(2)
    ]


def test_a_short_ramp_is_refused_before_the_first_step_if_asked(tmp_path):
    method = cpg(
        ladder(2), task_pruning={"task_01": ladder(5, short_ramp="refuse")}
    )
    with pytest.raises(
        UserError, match="'task_01' could prune up to step 4 .*most 4, "
    ):
        learned(tmp_path, method, class_counts=(2, 2))
    assert not list(tmp_path.glob("tasks/*"))
    with pytest.raises(ValueError, match="`short_ramp` must be 'adapt' or"):
        ladder(2, short_ramp="hope")


def test_a_task_that_owns_nothing_is_said(tmp_path, monkeypatch):
    said = _warnings(monkeypatch)
    method = cpg(ladder(2), ratios_by_hand={"task_00": 0})
    learned(tmp_path, method, class_counts=(2, 2))
    assert any("'task_01' owns no weight" in line for line in said)


def _without_pruning(monkeypatch):
    """Ramps whose events never come, as if something hindered them."""
    ramp = PruningLadder.ramp

    def hindered(self, initial, target, steps_per_epoch):
        found = ramp(self, initial, target, steps_per_epoch)
        return type(found)(initial, target, 0, found.end, found.end + 1)

    monkeypatch.setattr(PruningLadder, "ramp", hindered)


def test_the_sparsity_that_is_reported_is_the_measured_one(
    tmp_path, monkeypatch
):
    _without_pruning(monkeypatch)
    run = learned(tmp_path, cpg(ladder(2)), class_counts=(2, 2))
    first, second = (task["method"] for task in run.results()["tasks"])
    assert first["sparsity"] == 0.0
    assert first["sparsity_of_target"] == {"0.4": 0.0, "0.6": 0.0}
    assert "ratio" not in first
    assert second["sparsity"] is None  # It owns nothing.
    published = json.loads((tmp_path / "results.json").read_text())
    assert published["tasks"][0]["method"] == first


def test_packnet_reports_the_measured_sparsity(tmp_path):
    method = PackNet(masked_training(1, 0.02), 0.5, retraining_epochs=0)
    run = learned(tmp_path, method, class_counts=(2,))
    owners = np.concatenate(
        [layer.owner.numpy().ravel() for layer in run.method.masked]
    )
    note = run.results()["tasks"][0]["method"]
    assert note["sparsity"] == np.mean(owners == 0)


def test_pruning_by_hand_below_the_goal_misses_it(tmp_path):
    settings = {"epochs": 1, "ramp_epochs": 1}
    all_but_nothing = PruningLadder(Constant(1e-7), (0.99,), **settings)
    method = CPG(
        masked_training(8, 0.02),
        SameGoal(0.8),
        pruning=all_but_nothing,
        picking_schedule=Constant(1e-2),
        ratios_by_hand={"task_00": 0.99},
    )
    run = learned(tmp_path, method, class_counts=(2,))
    record = run.results()["tasks"][0]
    assert record["method"]["tried"][0]["accuracy"] >= 0.8
    assert record["phases"][-1]["validation/accuracy"] < 0.8
    assert record["method"]["goal_missed"] is True


def test_measured_facts_survive_kills(tmp_path):
    make = functools.partial(cpg, ladder(1000))
    wanted = toy_run.assert_kills_change_nothing(tmp_path, make, moments=2)
    for task in wanted.results["tasks"]:
        assert set(task["method"]["sparsity_of_target"]) == {"0.4", "0.6"}


@pytest.fixture
def no_bindings_left():
    yield
    gin.clear_config()


@pytest.mark.parametrize("row", ["cpg_faces_short", "pae_faces_short"])
@pytest.mark.parametrize("steps_per_epoch", [2, 5])
@pytest.mark.parametrize("scope", [None, "persons", "age"])
def test_the_short_run_on_faces_prunes_every_task(
    row, steps_per_epoch, scope, no_bindings_left
):
    configuration.load([str(parts.FOLDER / f"{row}.gin")], [])
    with gin.config_scope(scope):
        pruning = gin.get_configurable(PruningLadder)()
    assert pruning.ramp_epochs * steps_per_epoch < pruning.frequency
    ramp = pruning.ramp(0.0, 0.2, steps_per_epoch)
    assert len(_events(ramp)) >= 4
