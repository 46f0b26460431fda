"""The kinds of work that a method's `phases` may yield."""

import dataclasses
import typing

from tfcl.data.split import Split


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
        batch_size: Defaults to the stream's.
        shuffle: New order every epoch, or always the stored one.
        drop_remainder: Leave out the last, smaller batch.
        validate_every: Epochs between validations; 0 never. The last epoch
            is validated in any case.
        stop: Optional rule from `Clock` to bool.
        restore_best: Keep the weights of the epoch with the best validation
            accuracy (strictly greater), instead of the last.
        best_after: Epochs at the begin that cannot be the best.
        jit_compile: Compile the whole loop by XLA; needs `drop_remainder`.

    Attributes:
        result: Set by the engine at the end: `epochs`, `train/...`,
            `validation/loss`, `validation/accuracy`, and `best_epoch`.
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
    stop: typing.Callable | None = None
    restore_best: bool = False
    best_after: int = 0
    jit_compile: bool | None = None
    result: dict | None = None
    action: typing.ClassVar[str] = "fit"


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
    action: typing.ClassVar[str] = "scan"


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
        batch_size: Defaults to the stream's.
        one_by_one: A replica sees one example at a time, for sums of what is
            not linear in the examples (squared gradients).
    """

    name: str
    step: typing.Callable
    into: list
    data: Split | None = None
    batch_size: int | None = None
    one_by_one: bool = False
    result: dict | None = None
    action: typing.ClassVar[str] = "accumulate"


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
    action: typing.ClassVar[str] = "decision"


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
    action: typing.ClassVar[str] = "validate"
