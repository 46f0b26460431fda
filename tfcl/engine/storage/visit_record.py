"""What the journal knows of a learned task."""

import dataclasses
import typing

from tfcl.engine.storage.json_record import JsonRecord, from_optional
from tfcl.engine.storage.position import Peak


@dataclasses.dataclass
class VisitRecord(JsonRecord):
    """One time that a task was learned.

    Attributes:
        index: Of the task in the stream.
        visit: Number of the visit, from 0; its folder in the bank.
        name: Of the task.
        fingerprint: `Task.fingerprint()`, to know the task again.
        class_names: Names by class number.
        sizes: `{"train", "validation", "test": examples}`.
        epochs, steps: Of training, over all phases.
        seconds: Working time.
        validation_accuracy: Of what was learned, None if not measured.
        peak: `Peak`, None if not measured.
        phases: Results of the phases, in their order.
        notes: The method's facts, JSON-ready.
        labels: `{name in the history: labels}` of vectors per epoch.
        footprint: `{"task_parameters", "task_bytes", "shared_parameters",
            "shared_bytes": number}` when the visit had ended.
        row: Test accuracies of all tasks seen so far, by task index: the
            visit's row of R; None where the test images were gone and the
            task had changed.
        losses: Test losses likewise; empty in records written before they were
            noted.
        top5: Test accuracies of the five best answers likewise, None for
            tasks of at most five classes; empty as `losses`.
        numerics: With what settings that touch numbers it was learned, as of
            `Position`; empty in records written before they were noted.
        verification: Of a task of pairs: accuracies of the folds and their
            deviation. Otherwise None, and no key in JSON.
        split_digests: `{"train", "validation", "test": Split.digest()}`; empty
            in records written before they were noted.
        read_digests: What the task of each entry of `row` was measured with: a
            digest of all variables that it reads; None where it was not
            measured, empty as `split_digests`.
        settings: Bindings that may differ from task to task, as it was learned
            with.
        first_name: What the task was called when it was learned; empty if it
            is called so now.
        command: The command that ended it; empty in records written before it
            was noted.
        removed: Whether the user has removed the task: it is no longer served.
    """

    index: int
    visit: int
    name: str
    fingerprint: str
    class_names: list[str]
    sizes: dict[str, int]
    epochs: int
    steps: int
    seconds: float
    validation_accuracy: float | None
    peak: Peak | None
    phases: list[dict]
    notes: dict[str, typing.Any]
    labels: dict[str, list]
    footprint: dict[str, int]
    row: list[float | None]
    losses: list[float | None] = dataclasses.field(default_factory=list)
    top5: list[float | None] = dataclasses.field(default_factory=list)
    numerics: list[dict] = dataclasses.field(default_factory=list)
    verification: dict[str, typing.Any] | None = None
    split_digests: dict[str, str] = dataclasses.field(default_factory=dict)
    read_digests: list[str | None] = dataclasses.field(default_factory=list)
    settings: dict[str, str] = dataclasses.field(default_factory=dict)
    first_name: str = ""
    command: str = ""
    removed: bool = False

    @property
    def file_name(self) -> str:
        """What the task's files are called by."""
        return self.first_name or self.name

    def to_json(self) -> dict[str, typing.Any]:
        data = super().to_json()
        if self.verification is None:
            del data["verification"]
        return data

    @classmethod
    def from_json(cls, data: dict[str, typing.Any]) -> "VisitRecord":
        return cls(**{**data, "peak": from_optional(Peak, data["peak"])})
