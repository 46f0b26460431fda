"""Tasks and the stream in which they come."""

from __future__ import annotations

import dataclasses
import hashlib
import typing
from typing import Annotated

from absl import logging

from tfcl.arguments import PositiveInt, checked, one_of
from tfcl.data.preprocessing import Preprocessing
from tfcl.data.scenario import SCENARIOS, TASK
from tfcl.data.split import Split

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any


LONGEST_NAME = 200  # Bytes of a task's name in UTF-8.


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """One classification task of a stream.

    Args:
        index: Position in the stream, from 0.
        name: Unique in the stream; names files, so letters, digits, `_`, `-`
            and `.` only, at most `LONGEST_NAME` bytes.
        class_names: Name of each local label 0..C-1.
        train: Training split.
        validation: Held-out part of the training data.
        test: Test split.
        preprocessing: What turns a user's image into the network's input;
            goes into the bank and the exported model.
        earlier: The tasks before this one in the stream.
        batch_size: Examples per training step over all replicas; None for
            the stream's.
        domains: Domain of each group of the splits, integers; for images
            of the data. Empty where that is not known.
        own_classes: The names of the classes that the task itself brings, if
            `class_names` also holds those of other tasks; else None.
        files: `{path: digest}` of the files that the images were read from,
            as of `known_files`; empty where that is not known.
        known_fingerprint: What a run has noted as the `fingerprint`, of a task
            whose data are gone or whose name has changed.
    """

    index: int
    name: str
    class_names: tuple
    train: Split
    validation: Split
    test: Split
    preprocessing: Preprocessing
    earlier: tuple = ()
    batch_size: int | None = None
    domains: tuple = ()
    own_classes: tuple | None = None
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    known_fingerprint: str = ""

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def num_own_classes(self) -> int:
        """Classes that the task itself brings."""
        own = self.own_classes
        return self.num_classes if own is None else len(own)

    @property
    def splits(self) -> dict[str, Split]:
        """`{"train", "validation", "test": Split}`."""
        return {
            "train": self.train,
            "validation": self.validation,
            "test": self.test,
        }

    def fingerprint(self) -> str:
        """Digest of names and data: equal tasks, equal text.

        The classes of other tasks do not count: later ones may bring more.
        """
        if self.known_fingerprint:
            return self.known_fingerprint
        own = self.own_classes
        return self._digest(self.class_names if own is None else own)

    def former_fingerprint(self) -> str:
        """What versions up to 0.2 noted: with the classes of all tasks."""
        return self.known_fingerprint or self._digest(self.class_names)

    def _digest(self, names):
        sha = hashlib.sha256(repr((self.name, names)).encode())
        for split in self.splits.values():
            sha.update(split.digest().encode())
        return sha.hexdigest()


@dataclasses.dataclass(frozen=True)
class StreamSpec:
    """What a method must know of a stream before it builds its variables.

    Args:
        name: Name of the stream.
        image_shape: `(height, width, channels)` of the network's input.
        task_names: Names of all tasks, in order.
        class_names: Tuple of class names per task.
        batch_size: Examples per step over all replicas.
        scenario: What is known of a test image, see `tfcl.data.scenario`.
    """

    name: str
    image_shape: tuple
    task_names: tuple
    class_names: tuple
    batch_size: int
    scenario: str = TASK

    @property
    def num_tasks(self) -> int:
        return len(self.task_names)

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Number of classes of each task."""
        return tuple(len(names) for names in self.class_names)

    @property
    def max_classes(self) -> int:
        """Classes of the widest task: the width of a slot's head."""
        return max(self.class_counts)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> StreamSpec:
        return cls(
            name=value["name"],
            image_shape=tuple(value["image_shape"]),
            task_names=tuple(value["task_names"]),
            class_names=tuple(tuple(n) for n in value["class_names"]),
            batch_size=value["batch_size"],
            scenario=value.get("scenario", TASK),  # Of older runs.
        )


class Visit(typing.NamedTuple):
    """One time that a task is learned.

    Attributes:
        number: Position in the order of learning, from 0.
        task: `Task`; its `earlier` are the other tasks seen so far.
        previous: Number of the task's last visit before this, or None.
    """

    number: int
    task: Task
    previous: int | None


class TaskStream:
    """The tasks in the order in which they are learned.

    Args:
        name: Name of the stream, for reports.
        tasks: `Task`s with indices 0, 1, ....
        batch_size: Examples per training step over all replicas. A task with
            fewer training examples takes them all in every step.
        order: Indices of tasks in the order of learning, in which tasks may
            come again; their first visits come in the order of `tasks`.
            Defaults to each task once.
        scenario: What is known of a test image, see `tfcl.data.scenario`.
            Methods refuse those that they are not made for.

    Attributes:
        visits: `Visit`s in their order.

    Raises:
        ValueError: If a task could not be learned or measured: no task,
            repeated names, a single class, a label without a class name, an
            empty split, images of different shapes, a class in two tasks
            under the same name inside one task.
    """

    @checked
    def __init__(
        self,
        name: str,
        tasks: Iterable[Task],
        batch_size: PositiveInt,
        order: Iterable[int] | None = None,
        scenario: Annotated[str, one_of(*SCENARIOS)] = TASK,
    ):
        self.name = name
        self.scenario = scenario
        self.tasks = tuple(_in_batches(task, batch_size) for task in tasks)
        self.batch_size = batch_size
        if order is None:
            order = range(len(self.tasks))
        if not self.tasks:
            raise ValueError(f"Stream '{name}' has no task.")
        check_task_names(name, [task.name for task in self.tasks])
        for task in self.tasks:
            _check_task(self, task)
        self.visits = _visits(self.tasks, list(order))

    def __len__(self):
        return len(self.tasks)

    def learned_versions(self, visit: int) -> list[tuple[Task, int]]:
        """`(task, number of its newest visit)` of all tasks seen by then.

        Args:
            visit: Number of the visit that has ended last.
        """
        newest = {v.task.index: v.number for v in self.visits[: visit + 1]}
        return [(self.tasks[index], newest[index]) for index in sorted(newest)]

    def __iter__(self):
        return iter(self.tasks)

    def spec(self) -> StreamSpec:
        """The `StreamSpec` of this stream."""
        return StreamSpec(
            name=self.name,
            image_shape=tuple(self.tasks[0].train.image_shape),
            task_names=tuple(task.name for task in self.tasks),
            class_names=tuple(tuple(t.class_names) for t in self.tasks),
            batch_size=self.batch_size,
            scenario=self.scenario,
        )


def _in_batches(task, batch_size):
    """A task with its own batch size, if it cannot fill a batch."""
    size, count = task.batch_size or batch_size, len(task.train)
    if not 0 < count < size:
        return task
    logging.warning(
        "Task '%s' has %d training examples, fewer than batch_size=%d: each of "
        "its steps takes all of them.",
        task.name,
        count,
        size,
    )
    return dataclasses.replace(task, batch_size=count)


def _visits(tasks, order):
    firsts = list(dict.fromkeys(order))
    if firsts != list(range(len(tasks))):
        raise ValueError(
            "Argument `order` must name every task, and new ones in their "
            f"order 0..{len(tasks) - 1}. Received: order={order}"
        )
    newest, visits = {}, []
    for number, index in enumerate(order):
        task = tasks[index]
        earlier = tuple(tasks[i] for i in sorted(newest) if i != index)
        if index in newest:
            task = dataclasses.replace(task, earlier=earlier)
        visits.append(Visit(number, task, newest.get(index)))
        newest[index] = number
    return tuple(visits)


def check_task_names(stream: str, names: Sequence[str]) -> None:
    """Refuses names of tasks that could not be kept apart or name files.

    Args:
        stream: Name of the stream, for the message.
        names: Of its tasks.

    Raises:
        ValueError: If one comes twice, is too long or has other letters.
    """
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"Stream '{stream}': task names must be unique, but these "
            f"come twice: {repeated}. Rename one of each."
        )
    for name in names:
        letters = all(c.isalnum() or c in "_-." for c in name)
        if not letters or not name.strip("."):  # ".." is another folder.
            raise ValueError(
                f"Stream '{stream}': a task name holds letters, digits, '_', "
                "'-' and '.' only, and not dots alone. Received: "
                f"{name!r}. Rename the task."
            )
        # With what is put around it, a name must not be longer than the 255
        # bytes that file systems allow.
        if len(name.encode()) > LONGEST_NAME:
            raise ValueError(
                f"Stream '{stream}': a task name has at most "
                f"{LONGEST_NAME} bytes in UTF-8, for it names files. Received "
                f"{len(name.encode())}: {name[:40]!r}... Rename the task."
            )


def _check_task(stream, task):
    where = f"Stream '{stream.name}', task '{task.name}'"
    shape = tuple(stream.tasks[0].train.image_shape)
    if task.num_classes < 2:
        raise ValueError(
            f"{where}: a task needs at least two classes. Received: "
            f"{list(task.class_names)}. Join it with another task."
        )
    if len(set(task.class_names)) != task.num_classes:
        raise ValueError(
            f"{where}: class names must differ. Received: "
            f"{list(task.class_names)}"
        )
    for split_name, split in task.splits.items():
        place = f"{where}, split '{split_name}'"
        if not len(split):
            raise ValueError(
                f"{place}: no example. Every split of a task needs some; hold "
                "out a larger part or give the task more data."
            )
        if tuple(split.image_shape) != shape:
            raise ValueError(
                f"{place}: images are {tuple(split.image_shape)}, those of "
                f"the first task {shape} (height, width, channels). Resize "
                "them to one shape in the stream."
            )
        low, high = int(split.labels.min()), int(split.labels.max())
        if low < 0 or high >= task.num_classes:
            raise ValueError(
                f"{place}: labels must be 0..{task.num_classes - 1}, one per "
                f"class name. Received: labels {low}..{high}"
            )
