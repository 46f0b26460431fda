"""What has been done so far, as one JSON text inside every checkpoint."""

import dataclasses
import json
import typing
from collections.abc import Sequence

import numpy as np

from tfcl.data.task import Task
from tfcl.engine.storage.json_record import JsonRecord, from_optional
from tfcl.engine.storage.position import PhasePosition, Position
from tfcl.engine.storage.visit_record import VisitRecord
from tfcl.errors import RunError

FORMAT = 3


@dataclasses.dataclass
class Journal(JsonRecord):
    """Finished tasks, finished phases, and the place in the current phase.

    The journal lives inside the checkpoint, so the two can never disagree:
    falling back to an older checkpoint falls back to its journal.

    Attributes:
        bindings: gin bindings of the run, to refuse a different one.
        visits: A `VisitRecord` per time that a task was learned.
        position: `Position` inside the task in hand, None between tasks.
        global_step: Training steps of the whole run.
        run_epoch: Completed epochs of the whole run.
        skipped_steps: Steps left out because they were not finite.
        seconds: Working time over all processes of the run.
        saves: Checkpoints written.
        structure: The method's `structure()` at the last save.
        start_files: Files that the network begins with, see `StartFiles`.
        numerics: Settings of the newest process that touch numbers, see
            `tfcl.engine.process.numerics`.
        facts: What results tell besides, `RunFacts` as JSON; None in runs of
            older versions until they go on.
        spec: `StreamSpec` of the whole stream as JSON, None likewise.
        data_dir: Folder of TFDS data sets that the run was started with last,
            None for TFDS's default.
        settings: Bindings of the newest process that may differ from task to
            task, see `tfcl.engine.process.task_settings`.
        task_agnostic: `TaskAgnostic` after the last visit as JSON, if it was
            measured.
    """

    bindings: dict[str, str] = dataclasses.field(default_factory=dict)
    visits: list[VisitRecord] = dataclasses.field(default_factory=list)
    position: Position | None = None
    global_step: int = 0
    run_epoch: int = 0
    skipped_steps: int = 0
    seconds: float = 0.0
    saves: int = 0
    structure: typing.Any = None
    start_files: dict[str, dict[str, str]] = dataclasses.field(
        default_factory=dict
    )
    numerics: dict[str, typing.Any] = dataclasses.field(default_factory=dict)
    facts: dict[str, typing.Any] | None = None
    spec: dict[str, typing.Any] | None = None
    data_dir: str | None = None
    settings: dict[str, str] = dataclasses.field(default_factory=dict)
    task_agnostic: dict[str, typing.Any] | None = None

    def to_json(self) -> dict[str, typing.Any]:
        visits = [record.to_json() for record in self.visits]
        return {**super().to_json(), "visits": visits}

    @classmethod
    def from_json(cls, data: dict[str, typing.Any]) -> "Journal":
        visits = [VisitRecord.from_json(each) for each in data["visits"]]
        position = from_optional(Position, data["position"])
        return cls(**{**data, "visits": visits, "position": position})

    def dumps(self) -> str:
        """The journal as text."""
        return json.dumps({"format": FORMAT, **self.to_json()})

    @classmethod
    def loads(cls, text: str) -> "Journal":
        """The journal from text, of this format or an older one.

        Raises:
            RunError: If the format is none that this version knows.
        """
        data = json.loads(text)
        written = data.pop("format")
        if written not in _UPGRADES:
            known = " and ".join(map(str, sorted(_UPGRADES)))
            raise RunError(
                f"The run was written in format {written}, this version of "
                f"tfcl reads formats {known}. Use the version that wrote it, "
                "or another --model_dir."
            )
        return cls.from_json(_UPGRADES[written](data))

    @property
    def task_position(self) -> Position:
        """The `position` while a task is in hand."""
        assert self.position is not None, "between two tasks"
        return self.position

    def accuracies(
        self, row: Sequence[float | None] | None = None
    ) -> dict[str, float | None]:
        """`{task name: test accuracy}`, without tasks that are removed.

        Args:
            row: By task index; None for the last visit's, whose accuracies
                are None where they are not known.
        """
        newest = {record.index: record for record in self.visits}
        if row is None:
            row = self.visits[-1].row if newest else []
        return {
            newest[index].name: accuracy
            for index, accuracy in zip(sorted(newest), row)
            if not newest[index].removed
        }

    @property
    def first_names(self) -> dict[int, str]:
        """`{visit: name}` of tasks that were called otherwise when learned."""
        return {r.visit: r.first_name for r in self.visits if r.first_name}

    def begin_task(self, task: Task) -> None:
        """Notes that a task has begun; keeps the place of a resumed one."""
        if self.position is None:
            self.position = Position(
                visit=len(self.visits),
                task=task.index,
                fingerprint=task.fingerprint(),
                structure=self.structure,
                name=task.name,
            )
            self.position.note_numerics(self.numerics)

    def end_task(
        self,
        record: VisitRecord,
        task_agnostic: dict[str, typing.Any] | None = None,
    ) -> None:
        """Notes a finished task, and what is measured at a stream's end."""
        self.task_agnostic = task_agnostic
        record.settings = dict(self.settings)
        record.command = (self.facts or {}).get("command", "")
        self.visits.append(record)
        self.position = None

    def accuracy_matrix(self, num_tasks: int) -> np.ndarray:
        """R so far, `(visits, num_tasks)`, NaN where not evaluated."""
        return _matrix([record.row for record in self.visits], num_tasks)

    def loss_matrix(self, num_tasks: int) -> np.ndarray:
        """Test losses likewise; NaN for tasks of earlier versions of tfcl."""
        return _matrix([record.losses for record in self.visits], num_tasks)

    def top5_matrix(self, num_tasks: int) -> np.ndarray:
        """Test accuracies of the five best answers likewise; NaN also for
        tasks of at most five classes."""
        return _matrix([record.top5 for record in self.visits], num_tasks)


def _matrix(rows, width):
    matrix = np.full((len(rows), width), np.nan)
    for number, row in enumerate(rows):
        matrix[number, : len(row)] = np.array(row, float)
    return matrix


def _from_format_2(data):
    """Format 2 held the place in the phase among the keys of the position."""
    position = data["position"]
    if position is None:
        return data
    names = [field.name for field in dataclasses.fields(PhasePosition)]
    # Left over from the last phase, between two of them.
    phase = {n: position.pop(n) for n in names if n in position}
    if not position.pop("in_phase"):
        return data
    position["phase"] = phase
    best = phase.get("best")
    if best is not None:
        # Older journals note an accuracy only: there was no choice.
        best.setdefault("value", best["validation_accuracy"])
    return data


# By format: what makes today's data of it.
_UPGRADES = {2: _from_format_2, FORMAT: lambda data: data}
