"""The kinds of work that a method's `phases` may yield."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections import abc
from typing import Annotated

from tfcl.arguments import checked, one_of
from tfcl.data.split import Split

ACCURACY = "validation/accuracy"
LOSS = "validation/loss"
BATCH_LOSSES = "validation/batch_losses"
AS_THE_RUN = "run"
RESTORE = "restore"
_BEST_BY = (ACCURACY, LOSS, BATCH_LOSSES)
_ON_BAD = (AS_THE_RUN, RESTORE)


@checked
@dataclasses.dataclass(eq=False)
class Phase:
    """Some epochs of training on one split.

    Args:
        name: For journal, summaries and messages.
        epochs: Upper bound; `stop` may end the phase earlier.
        rates: `{optimizer name: schedule}`, schedule from `Clock` to rate.
        steps: Step functions applied one after another to every batch.
            Defaults to the method's `train_step`.
        data: Split to train on. Defaults to the task's training split.
        batch_size: Defaults to the task's, else the stream's.
        shuffle: New order every epoch, or always the stored one.
        drop_remainder: Leave out the last, smaller batch.
        validate_every: Epochs between validations; 0 never. The last epoch
            is validated in any case.
        validation: Split to validate on. Defaults to the task's.
        validation_logits: Traced function from a `Batch` of that split to the
            logits which its labels count. Defaults to the method's `predict`
            of its images.
        stop: Optional rule from `Clock` to bool.
        restore_best: Keep the weights of the best epoch, instead of the last.
        best_by: What is best: "validation/accuracy" (strictly greater), or
            "validation/loss" or "validation/batch_losses" (strictly less).
        best_after: Epochs at the begin that cannot be the best.
        validation_batch_size: Examples per batch of the validation, which
            then also gives "validation/batch_losses": the sum over batches
            of their mean losses. None: the engine's choice, without it.
        on_nonfinite: What becomes of a step whose loss or gradient is not
            finite, and of a validation loss that is not. "run": as the run
            says. "restore": the step ends the epoch, which counts with NaN
            as its losses, not validated; after it the best weights return
            (at first those of the phase's begin), and the phase goes on.
        jit_compile: Compile the whole loop by XLA; needs `drop_remainder`.
        facts: Function without arguments to `{name: number}`, called when the
            phase has ended: what it measures of the weights that stay goes
            into the result, so that a resumed run knows it too.

    Attributes:
        result: Set by the engine at the end: `epochs`, `train/...`,
            `validation/loss`, `validation/accuracy`, and `best_epoch`, 0 if
            no epoch was better than the begin; then the validation is NaN,
            else with `restore_best` that of the best epoch.

    Raises:
        ValueError: If `best_by` or `on_nonfinite` is none of these words, or
            what they need is missing.
    """

    name: str
    epochs: int
    rates: dict
    steps: tuple = ()
    data: Split | None = None
    batch_size: int | None = None
    shuffle: bool = True
    drop_remainder: bool = False
    validate_every: int = 1
    validation: Split | None = None
    validation_logits: typing.Callable | None = None
    stop: typing.Callable | None = None
    restore_best: bool = False
    best_by: Annotated[str, one_of(*_BEST_BY)] = ACCURACY
    best_after: int = 0
    validation_batch_size: int | None = None
    on_nonfinite: Annotated[str, one_of(*_ON_BAD)] = AS_THE_RUN
    jit_compile: bool | None = None
    facts: typing.Callable[[], dict] | None = None
    result: dict | None = None

    def __post_init__(self):
        if self.best_by == BATCH_LOSSES and not self.validation_batch_size:
            raise ValueError(
                f"Argument `best_by`='{BATCH_LOSSES}' needs a "
                "`validation_batch_size`. Received: None"
            )
        if self.on_nonfinite == RESTORE and not self.restore_best:
            raise ValueError(
                f"Argument `on_nonfinite`='{RESTORE}' needs "
                "`restore_best`=True. Received: False"
            )

    @property
    def restores_nonfinite(self) -> bool:
        """Whether the phase goes on from its best weights after a NaN."""
        return self.on_nonfinite == RESTORE

    def improves(self, value: float, best: float | None) -> bool:
        """Whether a value of `best_by` is better than the best so far.

        Args:
            value: Number; NaN is never better.
            best: Number, or None if there is none yet.
        """
        if math.isnan(value):
            return False
        sign = 1 if self.best_by == ACCURACY else -1
        return best is None or sign * value > sign * best


@dataclasses.dataclass(eq=False)
class Scan:
    """One in-graph run over a stream in its stored order (online learning).

    Args:
        name: For journal, summaries and messages.
        rates: `{optimizer name: schedule}`.
        steps: Step functions; defaults to the method's `train_step`.
        data: Split whose order is the stream's. Defaults to the task's.
        batch_size: Examples per step; must divide every stretch.
        boundaries: Example counts after which the model is validated, the
            end included; each stretch runs as one compiled loop.
        jit_compile: Compile by XLA: pays for tiny steps, not for conv nets.
        measured: `{name: Split}` whose groups are measured one by one at each
            boundary.

    Attributes:
        result: `{"validations": [{"examples": ..., "validation/loss": ...,
            "validation/accuracy": ..., "<name>/accuracies": [one per group of
            a measured split]}, ...]}`.
    """

    name: str
    rates: dict
    steps: tuple = ()
    data: Split | None = None
    batch_size: int = 1
    boundaries: tuple = ()
    jit_compile: bool = True
    measured: dict = dataclasses.field(default_factory=dict)
    result: dict | None = None
    restores_nonfinite: typing.ClassVar[bool] = False

    def boundaries_within(self, count: int) -> tuple[int, ...]:
        """The boundaries of a stream of `count` examples.

        Raises:
            ValueError: If they do not rise, or not by whole batches.
        """
        ends = [0, *(self.boundaries or (count,))]
        rising = all(a < b for a, b in zip(ends, ends[1:]))
        size = self.batch_size
        if not rising or ends[-1] > count or any(b % size for b in ends):
            raise ValueError(
                "Argument `boundaries` must be rising multiples of "
                f"`batch_size` within the {count} examples. Received: "
                f"boundaries={tuple(ends[1:])}, batch_size={size}"
            )
        return tuple(ends[1:])


@dataclasses.dataclass(eq=False)
class Accumulate:
    """One pass over data that adds up tensors and updates no weight.

    Args:
        name: For journal and messages.
        step: Function from `Batch` to a list of tensors, this replica's part;
            summed over all batches and replicas.
        into: Variables that receive the sums; set to zero first. Sums live
            in variables so that they are checkpointed.
        data: Split. Defaults to the task's training split.
        batch_size: Defaults to the task's, else the stream's.
        one_by_one: A replica sees one example at a time, for sums of what is
            not linear in the examples (squared gradients).
        then: Optional function without arguments that takes the sums in,
            called on the host after the pass and before it is noted as done.
            What it leaves of them need not be checkpointed.
    """

    name: str
    step: typing.Callable
    into: list
    data: Split | None = None
    batch_size: int | None = None
    one_by_one: bool = False
    then: typing.Callable | None = None
    result: dict | None = None


@dataclasses.dataclass(eq=False)
class Decision:
    """What the host computes from the variables, noted in the journal.

    A resumed run repeats the code of `phases` before it restores the
    variables, so that code may branch on results only. This is the way to
    branch on what the variables say: the recorded answer is sent again.

    Args:
        name: For journal and messages.
        decide: Function without arguments to a JSON-ready value.

    Attributes:
        result: `{"value": what `decide` returned}`.
    """

    name: str
    decide: typing.Callable
    result: dict | None = None


@dataclasses.dataclass(eq=False)
class Validate:
    """A measurement of the task in training, between two phases.

    Args:
        name: For journal and messages.
        measured: `{name: Split}` whose groups are measured one by one.

    Attributes:
        result: `validation/loss`, `validation/accuracy`, and
            `<name>/accuracies` of the groups of each measured split.
    """

    name: str
    measured: dict = dataclasses.field(default_factory=dict)
    result: dict | None = None


Work: typing.TypeAlias = Phase | Scan | Accumulate | Decision | Validate
"""What `phases` may yield; the engine performs a subclass as its base."""

Phases: typing.TypeAlias = abc.Generator[Work, typing.Any, None]
"""What `phases` returns: each `yield` of a work gives its `result`."""
