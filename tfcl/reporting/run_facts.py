"""What reports are made of: names, numbers and arrays of a run."""

import dataclasses
import typing

import numpy as np

from tfcl.reporting.answers.answers import VisitAnswers


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """What of a run is the same from its begin to its end.

    Attributes:
        method, stream: Names.
        seed: Of the run.
        command: The command line.
        distribution: "none", "mirrored" or "multi_worker".
        replicas: Their number.
        task_names: By task index.
        test_sizes: Test examples by task index.
        order: Task index of each visit of the whole stream.
        own_classes: Classes that each task brings itself, by task index; ()
            in facts noted before they were.
        scenario: What is known of a test image, see `tfcl.data.scenario`;
            "" in facts noted before it was.
    """

    method: str
    stream: str
    seed: int
    command: str
    distribution: str
    replicas: int
    task_names: tuple[str, ...]
    test_sizes: tuple[int, ...]
    order: tuple[int, ...]
    own_classes: tuple[int, ...] = ()
    scenario: str = ""

    def to_json(self) -> dict[str, typing.Any]:
        """JSON-ready dictionary."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, typing.Any]) -> "RunFacts":
        """The facts of `to_json`."""
        lists = {k: tuple(v) for k, v in data.items() if isinstance(v, list)}
        return cls(**{**data, **lists})


@dataclasses.dataclass(frozen=True)
class LearnedSoFar:
    """What a run has learned by now.

    Attributes:
        visits: Records of the finished visits, in their order: `VisitRecord`
            of `tfcl.engine` as JSON.
        histories: Their training curves, `{name: array}` each, the first
            axis being the epoch.
        accuracy_matrix: R, `(visits, tasks)`, NaN where not evaluated.
        loss_matrix, top5_matrix: Losses, and accuracies of the five best
            answers, likewise.
        seconds: Working time.
        global_step: Training steps.
        skipped_steps: Steps left out because they were not finite.
        bindings: `{gin name: value}`.
        numerics: Settings of the newest process that touch numbers.
        lost: What could not be read, and so is missing in the rest: a line
            each.
        answers: `VisitAnswers` of the visits; () if none are known.
        class_names: Names of the classes that the tasks of the visits are
            answered with now; () if they are those of the records.
        task_agnostic: `TaskAgnostic` of `tfcl.engine` as JSON, of the last
            visit, None if it was not measured.
    """

    visits: list[dict[str, typing.Any]]
    histories: list[dict[str, np.ndarray]]
    accuracy_matrix: np.ndarray
    loss_matrix: np.ndarray
    top5_matrix: np.ndarray
    seconds: float
    global_step: int
    skipped_steps: int
    bindings: dict[str, str]
    numerics: dict[str, typing.Any] = dataclasses.field(default_factory=dict)
    lost: tuple[str, ...] = ()
    answers: tuple[VisitAnswers, ...] = ()
    class_names: tuple[tuple[str, ...], ...] = ()
    task_agnostic: dict[str, typing.Any] | None = None

    def told(self) -> list[tuple[str, tuple[str, ...], VisitAnswers]]:
        """`(task, class names, VisitAnswers)` of each task's newest visit.

        In the order of the tasks.
        """
        newest = {
            record["index"]: number for number, record in enumerate(self.visits)
        }
        return [
            (
                self.visits[number]["name"],
                self._names(number),
                self.answers[number] if self.answers else VisitAnswers(),
            )
            for _, number in sorted(newest.items())
        ]

    def _names(self, number):
        if self.class_names:
            return self.class_names[number]
        return tuple(self.visits[number].get("class_names", ()))
