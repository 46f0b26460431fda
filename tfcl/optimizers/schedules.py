"""Learning rates and stopping rules as pure functions of the clock.

The engine evaluates them on the host at the begin of an epoch. They keep no
state of their own: what they need of the past stands in the clock, which is
checkpointed. So a resumed run takes the same decisions.
"""

import dataclasses
import math

import gin


@dataclasses.dataclass(frozen=True)
class Clock:
    """Where a phase stands.

    Args:
        epoch: Completed epochs of this phase.
        run_epoch: Completed epochs since the very first task.
        epochs: Epochs that the phase may last.
        history: Tuple of one dict per completed epoch of the phase
            (`"train/loss"`, `"validation/accuracy"`, ...; scalars only).
    """

    epoch: int
    run_epoch: int
    epochs: int
    history: tuple = ()


def _positive(name, value):
    if not (isinstance(value, (int, float)) and value > 0):
        raise ValueError(
            f"Argument `{name}` must be positive. Received: {name}={value}"
        )


@gin.configurable
class Constant:
    """The same rate all the time."""

    def __init__(self, learning_rate: float):
        _positive("learning_rate", learning_rate)
        self.learning_rate = learning_rate

    def __call__(self, clock):
        return self.learning_rate


@gin.configurable
class InverseTimeDecay:
    """`rate / (1 + decay * epoch)`, over all tasks or inside a phase.

    Args:
        learning_rate: Rate at epoch 0.
        decay: Per epoch, not negative.
        per_task: False counts epochs since the very first task (the LASEM
            protocol), True since the phase began.
    """

    def __init__(
        self, learning_rate: float, decay: float, per_task: bool = False
    ):
        _positive("learning_rate", learning_rate)
        if decay < 0:
            raise ValueError(
                "Argument `decay` must not be negative. "
                f"Received: decay={decay}"
            )
        self.learning_rate = learning_rate
        self.decay = decay
        self.per_task = per_task

    def __call__(self, clock):
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

    def __init__(
        self, learning_rate: float, milestones: tuple, factor: float = 0.1
    ):
        _positive("learning_rate", learning_rate)
        if not 0.0 < factor <= 1.0:
            raise ValueError(
                "Argument `factor` must lie in (0, 1]. "
                f"Received: factor={factor}"
            )
        if list(milestones) != sorted(set(milestones)):
            raise ValueError(
                "Argument `milestones` must be increasing epochs. "
                f"Received: milestones={milestones}"
            )
        self.learning_rate = learning_rate
        self.milestones = tuple(milestones)
        self.factor = factor

    def __call__(self, clock):
        passed = sum(clock.epoch >= m for m in self.milestones)
        return self.learning_rate * self.factor**passed


class Later:
    """A schedule whose first epochs passed in a phase before this one.

    Args:
        schedule: Function from `Clock` to rate.
        epochs: How many.
    """

    def __init__(self, schedule, epochs):
        self.schedule = schedule
        self.epochs = epochs

    def __call__(self, clock):
        return self.schedule(
            dataclasses.replace(
                clock,
                epoch=clock.epoch + self.epochs,
                epochs=clock.epochs + self.epochs,
            )
        )


@gin.configurable
class CosineDecay:
    """Half a cosine from `learning_rate` to `final_rate` over the phase."""

    def __init__(self, learning_rate: float, final_rate: float = 0.0):
        _positive("learning_rate", learning_rate)
        if not 0.0 <= final_rate <= learning_rate:
            raise ValueError(
                "Argument `final_rate` must lie between 0 and the learning "
                f"rate. Received: final_rate={final_rate}"
            )
        self.learning_rate = learning_rate
        self.final_rate = final_rate

    def __call__(self, clock):
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

    def __init__(
        self,
        patience: int,
        monitor: str = "validation/loss",
        mode: str = "min",
        min_delta: float = 0.0,
        start: float | None = None,
    ):
        _positive("patience", patience)
        if mode not in ("min", "max"):
            raise ValueError(
                f"Argument `mode` must be 'min' or 'max'. Received: {mode!r}"
            )
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

    def __call__(self, clock):
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
