"""Test accuracy with the task told, and without.

A method that keeps a head, a mask or a network per task answers for an image of
unknown task by all of them: the class of the largest logit of all tasks. As
logits of different tasks were never trained against each other, this says how
far a task-incremental method is from a class-incremental one. A method with one
answer for all classes is measured the other way round: with the task told, it
chooses among the classes of that task.
"""

from __future__ import annotations

import dataclasses
import math
import typing

import numpy as np

from tfcl.data.absent import is_lost
from tfcl.data.pairs import PairSplit
from tfcl.data.scenario import CLASS, TASK
from tfcl.engine.evaluator import AUTO, NEVER
from tfcl.engine.storage.json_record import JsonRecord

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any

    from tfcl.data.split import Split
    from tfcl.data.task import Task, TaskStream
    from tfcl.engine.evaluator import Evaluator
    from tfcl.engine.measurement import Given
    from tfcl.engine.storage.journal import Journal


# For more learned tasks than these, "auto" does not ask each about all.
_MOST_HEADS = 20


@dataclasses.dataclass
class TaskAgnostic(JsonRecord):
    """What is answered with and without the task, over all learned tasks.

    Attributes:
        tasks: Indices of the learned tasks, T of them.
        aware: Test accuracy of each, with the task told; None where nobody
            has the test images.
        agnostic: Likewise without the task: class and task must be right.
        believed: T x T counts: of row t's test images, how many are answered
            by a class of column s's task. None rows as above.
    """

    tasks: list[int]
    aware: list[float | None]
    agnostic: list[float | None]
    believed: list[list[int] | None]


def at_the_end(
    stream: TaskStream, visit: int, evaluator: Evaluator, journal: Journal
) -> dict[str, Any] | None:
    """`measured` as JSON, if a visit is the last one of its stream."""
    if visit < len(stream.visits) - 1:
        return None
    gone = {record.visit for record in journal.visits if record.removed}
    trained = journal.global_step * stream.batch_size
    found = measured(stream, visit, evaluator, gone, trained)
    return None if found is None else found.to_json()


def measured(
    stream: TaskStream,
    visit: int,
    evaluator: Evaluator,
    gone: Collection[int] = (),
    trained: float = math.inf,
) -> TaskAgnostic | None:
    """Measures all learned tasks with and without their names.

    Every learned task answers for the test images of all, so it takes as many
    passes as there are pairs of tasks; a method with one answer for all
    classes takes two passes per task.

    Args:
        stream: `TaskStream`.
        visit: Number of the visit that has ended last.
        evaluator: `Evaluator`; another task may be active afterwards.
        gone: Numbers of the visits whose tasks are no longer served.
        trained: Images that the run has trained on, each as often as it was.

    Returns:
        None where the policy does not want it, and where the question has no
        meaning: a single task, tasks measured by pairs, tasks of the same
        classes, examples seen once.
    """
    learned = stream.learned_versions(visit)
    if stream.scenario == TASK:
        learned = [each for each in learned if each[1] not in gone]
    wanted = evaluator.policy.task_agnostic
    if (
        wanted == NEVER
        or len(learned) < 2
        or stream.scenario not in (TASK, CLASS)
        or any(isinstance(task.test, PairSplit) for task, _ in learned)
    ):
        return None
    if stream.scenario == CLASS:
        return _of_one_answer(learned, evaluator)
    if wanted == AUTO and not _is_cheap(learned, trained):
        return None
    return _of_all_heads(learned, evaluator)


def _is_cheap(learned, trained):
    """Whether asking all heads of all images costs little beside training."""
    asked = [task.test for task, _ in learned if not is_lost(task.test)]
    return (
        len(learned) <= _MOST_HEADS
        and len(learned) * sum(map(len, asked)) <= trained
        and all(isinstance(test.images, np.ndarray) for test in asked)
    )


class _Answers:
    """What is answered to the test images of a task.

    Attributes:
        aware: Accuracy with the task told.
        places: Place of the task whose class is answered, `(n,)`.
        right: Whether that class is the right one, `(n,)` boolean.
    """

    def __init__(self, count: int):
        self.aware = math.nan
        self.places = np.full(count, -1)
        self.right = np.zeros(count, bool)
        self._logits = np.full(count, -np.inf)

    def hear(self, place: int, given: Given, hits: np.ndarray) -> None:
        """Takes the answers of a task where its logit is the largest."""
        logits = np.where(np.isfinite(given.logits), given.logits, -np.inf)
        better = logits > self._logits
        self._logits = np.where(better, logits, self._logits)
        self.places = np.where(better, place, self.places)
        self.right = np.where(better, hits, self.right)

    def counts(self, tasks: int) -> list[int]:
        """How many images are answered by each of so many tasks."""
        known = self.places[self.places >= 0]
        return np.bincount(known, minlength=tasks).tolist()


def _of_all_heads(learned, evaluator):
    asked = {
        task.index: (task, _Answers(len(task.test)))
        for task, _ in learned
        if not is_lost(task.test)
    }
    for place, (answering, newest) in enumerate(learned):
        evaluator.activated(answering, newest)
        for task, answers in asked.values():
            given = evaluator.answers(answering, _as_of(task, answering))
            hits = given.classes == task.test.labels
            if task is answering:
                answers.aware = float(np.mean(hits))
            answers.hear(place, given, hits & (task is answering))
    return _put_together(learned, {i: each for i, (_, each) in asked.items()})


def _as_of(asked: Task, answering: Task) -> Split:
    """Test images as a task sees them that does not know whose they are."""
    split = asked.test
    if asked is answering or split.images.dtype != np.uint8:
        return split
    mean = np.array([answering.preprocessing.mean], np.float32)
    std = np.array([answering.preprocessing.std], np.float32)
    if np.array_equal(split.mean, mean) and np.array_equal(split.std, std):
        return split
    return dataclasses.replace(split, mean=mean, std=std, groups=None)


def _of_one_answer(learned, evaluator):
    owners, found = _owners(learned), {}
    for place, (task, newest) in enumerate(learned):
        if is_lost(task.test):
            continue
        evaluator.activated(task, newest)
        labels = task.test.labels
        told = evaluator.answers(task, columns=np.flatnonzero(owners == place))
        given = evaluator.answers(task)
        answers = found[task.index] = _Answers(len(labels))
        answers.aware = float(np.mean(told.classes == labels))
        answers.places = owners[given.classes]
        answers.right = given.classes == labels
    return _put_together(learned, found)


def _owners(learned) -> np.ndarray:
    """By class: the place of the task that brought it, -1 for none yet."""
    owners = np.full(learned[-1][0].num_classes, -1)
    first = 0
    for place, (task, _) in enumerate(learned):
        owners[first : first + task.num_own_classes] = place
        first += task.num_own_classes
    return owners


def _put_together(learned, found: dict[int, _Answers]) -> TaskAgnostic:
    indices = [task.index for task, _ in learned]

    def of_each(value: Callable[[_Answers], Any]) -> list[Any]:
        return [value(found[i]) if i in found else None for i in indices]

    return TaskAgnostic(
        tasks=indices,
        aware=of_each(lambda answers: answers.aware),
        agnostic=of_each(lambda answers: float(np.mean(answers.right))),
        believed=of_each(lambda answers: answers.counts(len(indices))),
    )
