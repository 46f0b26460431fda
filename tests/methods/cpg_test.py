"""CPG: the controller, growth, what old tasks keep, what a kill loses."""

import functools

import pytest

from tests.testing import toy_run
from tests.testing.methods import (
    run_method_test,
    tiny_training,
)
from tfcl.methods.accuracy_goals import OwnGoal, SameGoal
from tfcl.methods.cpg import CPG
from tfcl.methods.cpg_phases import PickAgain, PruningLadder
from tfcl.models.cpg_vgg import cpg_vgg
from tfcl.optimizers.schedules import Constant
from tfcl.optimizers.sgd_nesterov import SGDNesterov

_BACKBONE = functools.partial(
    cpg_vgg, layers=(6, "M", 8, "M"), hidden_units=(12,)
)


def training(epochs=8, rate=0.02, **kwargs):
    settings = {
        "backbone": _BACKBONE,
        "hidden_units": (),
        "dropout": 0.0,
        "optimizer": SGDNesterov,
        "head_bias": 0.0,
        "drop_remainder": False,
    }
    return tiny_training(epochs, rate, **{**settings, **kwargs})


def ladder(ratios=(0.4, 0.6), **kwargs):
    settings = {"epochs": 2, "ramp_epochs": 1, "frequency": 2}
    return PruningLadder(Constant(1e-3), ratios, **{**settings, **kwargs})


def cpg(goals=None, epochs=8, rate=0.02, **kwargs):
    settings = {
        "pruning": ladder(),
        "picking_schedule": Constant(1e-2),
        "picking_epochs": epochs // 2,
        "pick_again": PickAgain(Constant(1e-3), Constant(1e-3), epochs=2),
    }
    return CPG(
        training(epochs, rate),
        goals or OwnGoal(0.1),
        **{**settings, **kwargs},
    )


def test_cpg(tmp_path):
    run_method_test(cpg, tmp_path, forgets=False)


def growing(**kwargs):
    """Misses every goal, so it grows as far as it may."""
    return cpg(
        SameGoal(1.0), epochs=2, rate=1e-4, max_width=2.0, margin=0.0, **kwargs
    )


@pytest.mark.parametrize("when", ["now"])
def test_kills_change_nothing(tmp_path, when):
    wanted = toy_run.assert_kills_change_nothing(tmp_path, growing, moments=2)
    notes = [task["method"] for task in wanted.results["tasks"]]
    assert [note["width"] for note in notes] == [2.0, 2.0, 2.0]
    assert [len(note["tried"]) for note in notes] == [3, 1, 1]
