"""SPG's schedule, early stopping and best weights, against its program."""

import numpy as np
import pytest

from tests.testing import golden
from tfcl.errors import UserError
from tfcl.methods.work import Phase
from tfcl.optimizers.loss_plateau import LossPlateauDecay, LossPlateauStop
from tfcl.optimizers.schedules import Clock

_DATA = golden.load("spg/schedule.npz")
_NAMES = sorted(
    key[: -len(".val_loss")]
    for key in _DATA
    if "val_loss" in key and not key.endswith("best_val_loss")
)


def _clock(history):
    return Clock(len(history), len(history), 500, tuple(history))


@pytest.mark.parametrize("name", _NAMES)
def test_rates_and_last_epoch_are_those_of_the_program(name):
    decay, stop = LossPlateauDecay(), LossPlateauStop()
    history, rates, best, kept = [], [], None, None
    phase = Phase(
        "train",
        len(_DATA[f"{name}.val_loss"]),
        {},
        restore_best=True,
        best_by="validation/batch_losses",
        validation_batch_size=64,
    )
    for epoch, loss in enumerate(_DATA[f"{name}.val_loss"]):
        rates.append(decay(_clock(history)))
        history.append({"validation/batch_losses": float(loss)})
        if phase.improves(float(loss), best):
            best, kept = float(loss), epoch
        if stop(_clock(history)):
            break
    np.testing.assert_array_equal(rates, _DATA[f"{name}.lr"])
    assert len(history) - 1 == _DATA[f"{name}.last_epoch"]
    assert best == _DATA[f"{name}.best_val_loss"]
    assert kept == _DATA[f"{name}.final_weights_epoch"]


@pytest.mark.parametrize("name", _NAMES)
def test_waiting_epochs_are_those_of_the_program(name):
    rule = LossPlateauStop()._rule
    losses = _DATA[f"{name}.val_loss"]
    history = [{"validation/batch_losses": float(v)} for v in losses]
    patience = _DATA[f"{name}.patience"]
    found = [rule.after(history[: k + 1])[1] for k in range(len(patience))]
    np.testing.assert_array_equal(found, patience)


def test_there_are_six_decays_and_epochs_without_validation_are_passed_over():
    flat = [{"validation/batch_losses": 1.0}, {"train/loss": 0.5}] * 36
    decay = LossPlateauDecay()
    rates = [decay(_clock(flat[:k])) for k in range(len(flat))]
    assert len(set(rates)) == 7 and min(rates) == 1e-3
    assert LossPlateauStop()(_clock(flat))
    assert not LossPlateauStop()(_clock(flat[:-2]))


@pytest.mark.parametrize("rule", [LossPlateauDecay, LossPlateauStop])
def test_a_validation_without_its_batches_is_refused(rule):
    with pytest.raises(UserError, match="validation_batch_size"):
        rule()(_clock([{"validation/loss": 1.0}]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": 0.0},
        {"divisor": 1.0},
        {"floor": 0.5},
        {"patience": 0},
        {"threshold": 1.0},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_makes_no_sense_is_refused(wrong):
    for rule in (LossPlateauDecay, LossPlateauStop):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            rule(**wrong)
