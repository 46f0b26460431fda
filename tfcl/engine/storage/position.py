"""The place of a run inside the task in hand."""

import dataclasses
import typing

import numpy as np

from tfcl.engine.storage.json_record import JsonRecord, from_optional


@dataclasses.dataclass
class Peak(JsonRecord):
    """The test accuracy at the best validation accuracy of a task.

    Attributes:
        epoch: Of its phase, from 1.
        validation_accuracy, test_accuracy: Fractions.
    """

    epoch: int
    validation_accuracy: float
    test_accuracy: float


@dataclasses.dataclass
class BestEpoch(JsonRecord):
    """Where the weights of a phase's best epoch so far are kept.

    Attributes:
        epoch: Completed epochs of the phase; 0 is its begin.
        validation_accuracy: Fraction, None if it was not measured.
        value: What made the epoch the best, of `Phase.best_by`; None of the
            begin.
        file: Name in the folder of `BestWeights`.
        sha256: Of the file.
    """

    epoch: int
    validation_accuracy: float | None
    value: float | None
    file: str
    sha256: str


@dataclasses.dataclass
class PhasePosition(JsonRecord):
    """The place inside the running phase.

    Attributes:
        epoch: Epochs completed; of a `Scan`, boundaries passed.
        step: Steps done of the running epoch; of a `Scan`, of the stream.
        skipped: Those of the epoch's steps that were not finite.
        sums: `{metric: number or list}`, sums over the epoch's steps.
        history: One record per completed epoch, `{name: number or list}`.
        best: `BestEpoch`, None if the phase keeps none.
    """

    epoch: int = 0
    step: int = 0
    skipped: int = 0
    sums: dict[str, typing.Any] = dataclasses.field(default_factory=dict)
    history: list[dict] = dataclasses.field(default_factory=list)
    best: BestEpoch | None = None

    @classmethod
    def from_json(cls, data: dict[str, typing.Any]) -> "PhasePosition":
        best = from_optional(BestEpoch, data.get("best"))
        return cls(**{**data, "best": best})


@dataclasses.dataclass
class Position(JsonRecord):
    """The place of a run inside the task in hand.

    Attributes:
        visit: Number of the visit, from 0.
        task: Index of the task.
        fingerprint: Of the task, `Task.fingerprint()`.
        structure: The method's `structure()` at the begin of the task: the
            code of `phases` grows from there again.
        results: Of the finished phases, in their order.
        histories: `{"00_name": records of the epochs}` of finished phases.
        steps, epochs: Training steps and epochs of the task so far.
        numerics: With what settings the task was worked on, each once, in
            order; see `tfcl.engine.process.numerics`.
        seconds: Working time on the task so far.
        peak: `Peak`, None before the first.
        phase: `PhasePosition`, None between two phases.
        name: Of the task; empty in runs of older versions.
    """

    visit: int
    task: int
    fingerprint: str
    structure: typing.Any = None
    results: list[dict] = dataclasses.field(default_factory=list)
    histories: dict[str, list[dict]] = dataclasses.field(default_factory=dict)
    steps: int = 0
    epochs: int = 0
    seconds: float = 0.0
    peak: Peak | None = None
    phase: PhasePosition | None = None
    numerics: list[dict] = dataclasses.field(default_factory=list)
    name: str = ""

    @classmethod
    def from_json(cls, data: dict[str, typing.Any]) -> "Position":
        peak = from_optional(Peak, data.get("peak"))
        phase = from_optional(PhasePosition, data.get("phase"))
        return cls(**{**data, "peak": peak, "phase": phase})

    @property
    def phase_number(self) -> int:
        """Number of the running phase, or of the next one, from 0."""
        return len(self.results)

    @property
    def phase_position(self) -> PhasePosition:
        """The `phase` while one is running."""
        assert self.phase is not None, "between two phases"
        return self.phase

    def note_numerics(self, numerics: dict[str, typing.Any]) -> None:
        """Notes with what settings the task is worked on from now on."""
        if numerics and numerics not in self.numerics:
            self.numerics.append(numerics)

    def begin_phase(self) -> None:
        """Sets the place to the begin of a phase."""
        self.phase = PhasePosition()

    def end_phase(self, name: str, result: dict) -> None:
        """Moves the running phase to the finished ones.

        Args:
            name: Of the phase.
            result: JSON-ready.
        """
        key = f"{self.phase_number:02d}_{name}"
        self.histories[key] = self.phase_position.history
        self.results.append(result)
        self.phase = None

    def history_arrays(self) -> dict[str, np.ndarray]:
        """Training curves of the finished phases, for the bank.

        Returns:
            `{"<phase>/<name>": float64 array, first axis the epoch}`; a
            single phase goes without its name. Epochs that have no such
            value hold NaN.
        """
        arrays = {}
        for phase, records in self.histories.items():
            prefix = "" if len(self.histories) == 1 else f"{phase}/"
            names = sorted({name for record in records for name in record})
            for name in names:
                known = [np.asarray(r[name]) for r in records if name in r]
                missing = np.full_like(known[0], np.nan, dtype=float)
                arrays[prefix + name] = np.stack(
                    [np.asarray(r.get(name, missing), float) for r in records]
                )
        return arrays
