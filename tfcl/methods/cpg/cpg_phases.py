"""What the phases of CPG are like, for gin files."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Annotated

import gin
from absl import logging

from tfcl.arguments import PositiveInt, checked, one_of, require
from tfcl.errors import UserError
from tfcl.methods.work import Phase
from tfcl.optimizers.magnitude_pruning import GradualSparsity
from tfcl.optimizers.schedules import (
    EarlyStopping,
    ScheduleLike,
    schedule_of,
)

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


RESET = "reset"
KEEP = "keep"
BETTER = "better"
PUBLISHED = "published"
ADAPT = "adapt"
REFUSE = "refuse"
_EVENTS = 4  # At least, of a ramp that is adapted and has so many steps.
_ACCURACY = "validation/accuracy"


@gin.configurable
class PruningLadder:
    """Runs of gradual pruning, each from where the one before ended.

    Args:
        schedule: Rate of the weights, a schedule or a number; scores are
            frozen.
        ratios: Sparsities to reach, one run each, increasing in (0, 1).
        epochs: Of each run, E_p included.
        ramp_epochs: E_p, epochs over which a run prunes.
        frequency: f, steps between pruning events.
        keep_best: Go on from a run's best epoch after its ramp, instead of
            its last.
        ends_below_goal: End with the first run that falls short of the goal;
            False tries all ratios.
        short_ramp: What is done where `frequency` is beyond the ramp (a small
            task), so that not one pruning event would come: "adapt" prunes
            four times or more within the ramp, as far as it has the steps,
            and the log says so; "refuse" ends the run before its first step.

    Reference:
        Hung et al., NeurIPS 2019; default values of experiment 1 (CIFAR-100)
        of the published program.
    """

    @checked
    def __init__(
        self,
        schedule: ScheduleLike = 1e-3,
        ratios: Sequence = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95),
        epochs: int = 20,
        ramp_epochs: int = 4,
        frequency: PositiveInt = 10,
        keep_best: bool = False,
        ends_below_goal: bool = False,
        short_ramp: Annotated[str, one_of(ADAPT, REFUSE)] = ADAPT,
    ):
        rising = all(a < b for a, b in zip((0.0, *ratios), (*ratios, 1.0)))
        require(
            len(ratios) > 0 and rising,
            "ratios",
            "must be increasing numbers in (0, 1)",
            ratios,
        )
        require(
            1 <= ramp_epochs <= epochs,
            "ramp_epochs",
            f"must be 1..{epochs}, the epochs of a run",
            ramp_epochs,
        )
        self.schedule = schedule_of(schedule)
        self.ratios = tuple(ratios)
        self.epochs = epochs
        self.ramp_epochs = ramp_epochs
        self.frequency = frequency
        self.keep_best = keep_best
        self.ends_below_goal = ends_below_goal
        self.short_ramp = short_ramp

    def last_step(self, steps_per_epoch: int) -> int:
        """The last step of a run after which it may prune, from 0 on.

        The ramp ends with it, but a run without epochs behind the ramp has one
        step less.
        """
        ramp, whole = self.ramp_epochs, self.epochs
        return min(ramp * steps_per_epoch, whole * steps_per_epoch - 1)

    def frequency_of(self, steps_per_epoch: int) -> int:
        """Steps between pruning events: `frequency`, unless none would come."""
        last = self.last_step(steps_per_epoch)
        if self.frequency <= last:
            return self.frequency
        return max(1, last // _EVENTS)

    def check_ramp(self, task: str, steps_per_epoch: int) -> None:
        """Says, or refuses, that a task's ramp is too short for `frequency`.

        Args:
            task: Its name.
            steps_per_epoch: Of the task.

        Raises:
            UserError: If the ladder is to refuse such a task, or its runs have
                a single step.
        """
        last = self.last_step(steps_per_epoch)
        if self.frequency <= last:
            return
        found = (
            f"a pruning run of task '{task}' could prune up to step {last} "
            f"(ramp_epochs={self.ramp_epochs} of epochs={self.epochs}, "
            f"steps per epoch: {steps_per_epoch}), but the first time is "
            f"step frequency={self.frequency}"
        )
        if not last:
            raise UserError(f"PruningLadder: {found}. Set more `epochs`.")
        if self.short_ramp == REFUSE:
            raise UserError(
                f"PruningLadder: {found}, so it would never prune. Set a "
                f"`frequency` of at most {last}, more `ramp_epochs`, or "
                f"`short_ramp` = '{ADAPT}'."
            )
        logging.warning(
            "PruningLadder: %s; it prunes every %d steps instead "
            "(PruningLadder.short_ramp).",
            found,
            self.frequency_of(steps_per_epoch),
        )

    def ramp(
        self, initial: float, target: float, steps_per_epoch: int
    ) -> GradualSparsity:
        """The `GradualSparsity` of a run."""
        end = self.ramp_epochs * steps_per_epoch
        frequency = self.frequency_of(steps_per_epoch)
        return GradualSparsity(initial, target, 0, end, frequency)

    def phase(
        self,
        target: float,
        step: Any,
        drop_remainder: bool,
        facts: Callable[[], dict] | None = None,
    ) -> Phase:
        """The `Phase` of the run to a ratio; `facts` as of `Phase`."""
        return Phase(
            name=f"prune_{target:g}",
            epochs=self.epochs,
            rates={"main": self.schedule},
            steps=(step,),
            drop_remainder=drop_remainder,
            restore_best=self.keep_best,
            best_after=self.ramp_epochs if self.keep_best else 0,
            facts=facts,
        )


@gin.configurable
class PickAgain:
    """A last training of what is left after pruning, picks included.

    Args:
        schedule: Rate of the weights, a schedule or a number.
        picking_schedule: Rate of the scores, likewise.
        epochs: Upper bound.
        patience: Epochs without improvement that end it.
        start: "reset" lets the task pick everything again, as the published
            program does; "keep" goes on from its picks.
        accept: "better" takes the result if it beats both its start and the
            pruned state, "published" if it beats its start alone, which may
            be worse than the pruned state.

    Reference:
        As of `PruningLadder`; there it is called the second fine-tuning.
    """

    @checked
    def __init__(
        self,
        schedule: ScheduleLike = 1e-3,
        picking_schedule: ScheduleLike = 1e-4,
        epochs: PositiveInt = 30,
        patience: int = 5,
        start: Annotated[str, one_of(RESET, KEEP)] = RESET,
        accept: Annotated[str, one_of(BETTER, PUBLISHED)] = BETTER,
    ):
        self.schedule = schedule_of(schedule)
        self.picking_schedule = schedule_of(picking_schedule)
        self.epochs = epochs
        self.patience = patience
        self.start = start
        self.accept = accept

    def phase(self, accuracy: float, step: Any, drop_remainder: bool) -> Phase:
        """The `Phase`; `accuracy` is that of its start."""
        return Phase(
            name="pick_again",
            epochs=self.epochs,
            rates={"main": self.schedule, "picks": self.picking_schedule},
            steps=(step,),
            drop_remainder=drop_remainder,
            stop=EarlyStopping(self.patience, _ACCURACY, "max", start=accuracy),
            restore_best=True,
        )

    def accepts(self, accuracy: float, start: float, chosen: Any) -> bool:
        """Whether a result replaces the pruned state.

        Args:
            accuracy: Of the best epoch.
            start: Before the first one.
            chosen: Of the pruned state.
        """
        beaten = start if self.accept == PUBLISHED else max(start, chosen)
        return accuracy > beaten
