"""Learning rates and stopping rules as pure functions of the clock.

The engine evaluates them on the host at the begin of an epoch. They keep no
state of their own: what they need of the past stands in the clock, which is
checkpointed. So a resumed run takes the same decisions.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

import gin

from tfcl.arguments import (
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Range,
    checked,
    fits,
    one_of,
    within,
)

if typing.TYPE_CHECKING:
    from collections.abc import Callable


ScheduleLike: TypeAlias = Annotated[
    Any,
    Range(
        "a schedule or a rate above 0",
        lambda value: callable(value) or fits(value, PositiveFloat),
        says_all=True,
    ),
]
"""What `schedule_of` takes."""


@dataclasses.dataclass(frozen=True)
class Clock:
    """Where a phase stands.

    Args:
        epoch: Completed epochs of this phase.
        run_epoch: Completed epochs since the very first task.
        epochs: Epochs that the phase may last.
        history: Tuple of one dict per completed epoch of the phase
            (`"train/loss"`, `"validation/accuracy"`, ...; scalars only).
        task: Name of the task in training; None if no one says.
        tasks: Names of all tasks of the stream.
    """

    epoch: int
    run_epoch: int
    epochs: int
    history: tuple = ()
    task: str | None = None
    tasks: tuple = ()


@gin.configurable
class Constant:
    """The same rate all the time."""

    @checked
    def __init__(self, learning_rate: PositiveFloat):
        self.learning_rate = learning_rate

    def __call__(self, clock: Clock) -> Any:
        return self.learning_rate


def schedule_of(given: ScheduleLike) -> Callable[[Clock], Any]:
    """A schedule as it is, or `Constant` of a number."""
    return given if callable(given) else Constant(given)


@gin.configurable
class InverseTimeDecay:
    """`rate / (1 + decay * epoch)`, over all tasks or inside a phase.

    Args:
        learning_rate: Rate at epoch 0.
        decay: Per epoch, not negative.
        per_task: False counts epochs since the very first task (the LASEM
            protocol), True since the phase began.
    """

    @checked
    def __init__(
        self,
        learning_rate: PositiveFloat,
        decay: NonNegativeFloat,
        per_task: bool = False,
    ):
        self.learning_rate = learning_rate
        self.decay = decay
        self.per_task = per_task

    def __call__(self, clock: Clock) -> Any:
        epoch = clock.epoch if self.per_task else clock.run_epoch
        return self.learning_rate / (1.0 + self.decay * epoch)


@gin.configurable
class StepDecay:
    """Multiplies the rate by `factor` when an epoch in `milestones` is done.

    Args:
        learning_rate: Rate at epoch 0.
        milestones: Increasing epochs of the phase.
        factor: Multiplier at each, in (0, 1].
    """

    @checked
    def __init__(
        self,
        learning_rate: PositiveFloat,
        milestones: Sequence[float],
        factor: Annotated[float, within("(0, 1]")] = 0.1,
    ):
        if list(milestones) != sorted(set(milestones)):
            raise ValueError(
                "Argument `milestones` must be increasing epochs. "
                f"Received: milestones={milestones}"
            )
        self.learning_rate = learning_rate
        self.milestones = tuple(milestones)
        self.factor = factor

    def __call__(self, clock: Clock) -> Any:
        passed = sum(clock.epoch >= m for m in self.milestones)
        return self.learning_rate * self.factor**passed


class Later:
    """A schedule whose first epochs passed in a phase before this one.

    Args:
        schedule: Function from `Clock` to rate.
        epochs: How many.
    """

    @checked
    def __init__(self, schedule: Callable[[Clock], float], epochs: int):
        self.schedule = schedule
        self.epochs = epochs

    def __call__(self, clock: Clock) -> Any:
        return self.schedule(
            dataclasses.replace(
                clock,
                epoch=clock.epoch + self.epochs,
                epochs=clock.epochs + self.epochs,
            )
        )


class Scaled:
    """A schedule times a factor.

    Args:
        schedule: Function from `Clock` to rate.
        factor: Positive.
    """

    @checked
    def __init__(
        self, schedule: Callable[[Clock], float], factor: PositiveFloat
    ):
        self.schedule = schedule
        self.factor = factor

    def __call__(self, clock: Clock) -> Any:
        return self.factor * self.schedule(clock)


@gin.configurable
class ByTask:
    """Another schedule, or another stopping rule, for some of the tasks.

    Args:
        others: `{task name: schedule}`.
        schedule: For all other tasks; None if `others` names every task.

    Raises:
        ValueError: When it is asked, if `others` names what is no task of the
            stream, or nothing is known for a task.
    """

    @checked
    def __init__(
        self, others: dict, schedule: Callable[[Clock], float] | None = None
    ):
        given = dict(others)
        if schedule is not None:
            given["all others"] = schedule
        for name, each in given.items():
            if not callable(each):
                raise ValueError(
                    "Arguments `others` and `schedule` must be schedules (in "
                    "gin: @StepDecay(), with brackets). Received for "
                    f"{name}: {each!r}"
                )
        self.others = dict(others)
        self.schedule = schedule

    def __call__(self, clock: Clock) -> Any:
        unknown = sorted(set(self.others) - set(clock.tasks))
        if clock.tasks and unknown:
            raise ValueError(
                "Argument `others` must name tasks of the stream: "
                f"{', '.join(clock.tasks)}. Received: {', '.join(unknown)}"
            )
        schedule = self.others.get(clock.task, self.schedule)
        if schedule is None:
            raise ValueError(
                f"Argument `others` has no schedule for task '{clock.task}'. "
                "Add it, or give `schedule` for all that are not named. "
                f"Received: {', '.join(self.others) or 'none'}"
            )
        return schedule(clock)


@gin.configurable
class CosineDecay:
    """Half a cosine from `learning_rate` to `final_rate` over the phase."""

    @checked
    def __init__(self, learning_rate: PositiveFloat, final_rate: float = 0.0):
        if not 0.0 <= final_rate <= learning_rate:
            raise ValueError(
                "Argument `final_rate` must lie between 0 and the learning "
                f"rate. Received: final_rate={final_rate}"
            )
        self.learning_rate = learning_rate
        self.final_rate = final_rate

    def __call__(self, clock: Clock) -> Any:
        part = min(clock.epoch / max(clock.epochs, 1), 1.0)
        wave = 0.5 * (1.0 + math.cos(math.pi * part))
        return self.final_rate + (self.learning_rate - self.final_rate) * wave


@gin.configurable
class EarlyStopping:
    """Ends a phase when the monitored value has not improved for a while.

    Args:
        patience: Epochs without improvement after which the phase ends.
        monitor: Key of the history, e.g. "validation/loss".
        mode: "min" or "max".
        min_delta: Smallest change that counts as improvement.
        start: Value before the phase, which the first epochs have to improve;
            None counts the first evaluated epoch as an improvement.

    Epochs that were not evaluated are passed over: a phase ends only at one
    that was.
    """

    @checked
    def __init__(
        self,
        patience: PositiveInt,
        monitor: str = "validation/loss",
        mode: Annotated[str, one_of("min", "max")] = "min",
        min_delta: float = 0.0,
        start: float | None = None,
    ):
        if not monitor.startswith(("train/", "validation/")):
            raise ValueError(
                "Argument `monitor` must be a key of the history: "
                "'validation/loss', 'validation/accuracy', 'train/loss', ... "
                f"Received: monitor={monitor!r}"
            )
        self.patience = patience
        self.monitor = monitor
        self.sign = 1.0 if mode == "max" else -1.0
        self.min_delta = min_delta
        self.start = start

    def __call__(self, clock: Clock) -> Any:
        best, best_epoch, last = -math.inf, 0, 0
        if self.start is not None:
            best, best_epoch, last = self.sign * self.start, -1, -1
        for epoch, record in enumerate(clock.history):
            value = record.get(self.monitor)
            if value is None:
                continue
            last = epoch
            if self.sign * value > best + self.min_delta:
                best, best_epoch = self.sign * value, epoch
        return last - best_epoch >= self.patience


def _plateau(history, patience, decays):
    """Decays made by the plateau rule, and whether the phase has to end."""
    best, waited, made = -math.inf, 0, 0
    for record in history:
        accuracy = record.get("validation/accuracy")
        if accuracy is None:
            continue
        waited = 0 if accuracy > best else waited + 1
        best = max(best, accuracy)
        if made == decays:
            return made, True
        if waited >= patience:
            waited, made = 0, made + 1
    return made, False


@gin.configurable
class PlateauDecay:
    """Multiplies the rate by `factor` where the accuracy stays for a while.

    After each epoch, in this order: a better validation accuracy than ever in
    the phase sets a counter to 0, any other adds 1 to it; the phase ends if
    `decays` decays were made (`PlateauStop`); a counter of `patience` is set
    to 0 and the rate decays once more. So exactly one epoch runs after the
    last decay. Epochs that were not validated are passed over.

    Args:
        learning_rate: Rate at epoch 0.
        patience: Epochs without improvement that make a decay.
        decays: How many there are at most.
        factor: Multiplier at each, in (0, 1].
        most: Decays that count for this rate, the others leave it; None for
            all.

    Reference:
        Fine-grained tasks of Hung et al., NeurIPS 2019 (CPG), as in its
        program.
    """

    @checked
    def __init__(
        self,
        learning_rate: PositiveFloat,
        patience: PositiveInt = 5,
        decays: PositiveInt = 3,
        factor: Annotated[float, within("(0, 1]")] = 0.1,
        most: int | None = None,
    ):
        if most is not None and not 0 <= most <= decays:
            raise ValueError(
                f"Argument `most` must be 0..{decays}, the decays, or None "
                f"for all. Received: most={most}"
            )
        self.learning_rate = learning_rate
        self.patience = patience
        self.decays = decays
        self.factor = factor
        self.most = decays if most is None else most

    def __call__(self, clock: Clock) -> Any:
        made, _ = _plateau(clock.history, self.patience, self.decays)
        return self.learning_rate * self.factor ** min(made, self.most)


@gin.configurable
class PlateauStop:
    """Ends a phase one epoch after the last decay of a `PlateauDecay`.

    Args:
        patience, decays: Those of the `PlateauDecay`.
    """

    @checked
    def __init__(self, patience: PositiveInt = 5, decays: PositiveInt = 3):
        self.patience = patience
        self.decays = decays

    def __call__(self, clock: Clock) -> Any:
        return _plateau(clock.history, self.patience, self.decays)[1]
