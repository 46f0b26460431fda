"""PackNet: room for every task, and what a kill loses."""

import numpy as np
import pytest

from tests.methods.cpg.masked_training import masked_training
from tests.testing import toy_run
from tfcl.methods.cpg.packnet import PackNet
from tfcl.optimizers.schedules import Constant
from tfcl.testing import learned, run_method_test


def packnet(epochs=8, rate=0.02, **kwargs):
    settings = {
        "pruned": 0.6,
        "retraining_schedule": Constant(2e-3),
        "retraining_epochs": 2,
    }
    training = masked_training(epochs, rate)
    return PackNet(training, **{**settings, **kwargs})


def test_packnet(tmp_path):
    run_method_test(packnet, tmp_path, forgets=False)


def test_kills_change_nothing(tmp_path):
    wanted = toy_run.assert_kills_change_nothing(
        tmp_path, lambda: packnet(epochs=1), moments=2
    )
    free = [t["method"]["ownership"]["free"] for t in wanted.results["tasks"]]
    np.testing.assert_allclose(free, 0.6 ** np.arange(1, 4), atol=0.01)


def test_tasks_without_retraining_are_pruned_all_the_same(tmp_path):
    run = learned(tmp_path, packnet(epochs=1, retraining_epochs=0))
    record = run.results()["tasks"][0]
    shares = record["method"]["ownership"]
    assert shares["sparsity"] == pytest.approx(0.6, abs=0.01)
    # Its accuracy is that of what was left.
    entry = run.bank.load(0, record["name"])
    run.method.activate(entry.values, 0)
    split = run.stream.tasks[0].validation
    found = run.runner.measurement.evaluate(split, 32).accuracy
    assert record["validation_accuracy"] == found


def test_a_share_of_everything_is_refused():
    with pytest.raises(ValueError, match=r"`pruned` must be float in \[0, 1\)"):
        packnet(pruned=1.0)
