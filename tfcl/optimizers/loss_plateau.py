"""SPG's learning rate and early stopping, by the validation loss."""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Annotated

import gin

from tfcl.arguments import (
    PositiveFloat,
    PositiveInt,
    above,
    checked,
    require,
    within,
)
from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.optimizers.schedules import Clock


_LOSS = "validation/loss"
_KEY = "validation/batch_losses"


@checked
@dataclasses.dataclass(frozen=True)
class _Rule:
    """What schedule and stopping rule share; see `LossPlateauDecay`."""

    learning_rate: PositiveFloat
    divisor: Annotated[float, above(1)]
    floor: PositiveFloat
    patience: PositiveInt
    threshold: Annotated[float, within("[0, 1)")]

    def __post_init__(self):
        require(
            self.floor <= self.learning_rate,
            "floor",
            "must be at most the learning rate",
            self.floor,
        )

    def after(self, history):
        """The rate of the next epoch, and epochs waited at the floor."""
        rate, waited = self.learning_rate, 0
        best = plateau = math.inf
        bad = 0
        for record in history:
            loss = record.get(_KEY)
            if loss is None:
                _check_not_validated(record)
                continue
            # Every comparison with NaN is false: not better.
            if loss < best:
                best, waited = loss, 0
            else:
                waited = waited + 1 if rate <= self.floor else 0
            if loss < plateau * (1.0 - self.threshold):
                plateau, bad = loss, 0
            else:
                bad += 1
            if bad >= self.patience:
                bad = 0
                lower = max(rate * (1.0 / self.divisor), self.floor)
                rate = lower if rate - lower > 1e-8 else rate
        return rate, waited


def _check_not_validated(record):
    if _LOSS in record:
        raise UserError(
            "LossPlateauDecay and LossPlateauStop go by "
            f"'{_KEY}', which a validation gives only if "
            "TaskTraining.validation_batch_size is bound. Bind it, or take "
            "another schedule."
        )


class _OnLossPlateau:
    """What is asked of the rule, with the values of the published program."""

    @checked
    def __init__(
        self,
        learning_rate: float = 0.25,
        divisor: float = 3.0,
        floor: float = 1e-3,
        patience: int = 5,
        threshold: float = 1e-4,
    ):
        self._rule = _Rule(learning_rate, divisor, floor, patience, threshold)


@gin.configurable
class LossPlateauDecay(_OnLossPlateau):
    """Divides the rate where the validation loss does not fall for a while.

    After each epoch, a loss below `(1 - threshold)` times the lowest that
    counted so far sets a counter to 0, any other adds 1 to it; at `patience`
    it returns to 0 and the rate is divided, down to `floor`. The loss is
    "validation/batch_losses", so the phase needs a `validation_batch_size`.
    NaN counts as no improvement. Epochs that were not validated are passed
    over.

    Args:
        learning_rate: Rate at epoch 0.
        divisor: Of the rate, greater than 1.
        floor: Lowest rate.
        patience: Epochs without improvement that make a decay.
        threshold: Relative improvement that counts.

    Raises:
        ValueError: If a value is out of its range.
        UserError: When called, if an epoch was validated without a
            `validation_batch_size`.

    Reference:
        Konishi et al., ICML 2023 (SPG), as in its program; PyTorch's
        `ReduceLROnPlateau`.
    """

    @property
    def learning_rate(self) -> float:
        """Rate at epoch 0."""
        return self._rule.learning_rate

    def __call__(self, clock: Clock) -> Any:
        return self._rule.after(clock.history)[0]


@gin.configurable
class LossPlateauStop(_OnLossPlateau):
    """Ends a phase that waits at the floor of a `LossPlateauDecay`.

    An epoch waits if its loss is not strictly below all before it and its
    rate was the floor. `patience` such epochs in a row end the phase: a loss
    that never falls ends it after 36 epochs.

    Args:
        learning_rate, divisor, floor, patience, threshold: Those of the
            `LossPlateauDecay`.
    """

    def __call__(self, clock: Clock) -> Any:
        return self._rule.after(clock.history)[1] >= self._rule.patience
