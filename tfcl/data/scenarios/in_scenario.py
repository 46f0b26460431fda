"""A stream in another scenario than its own."""

from __future__ import annotations

import dataclasses
import typing
from typing import Annotated

from tfcl.arguments import checked, one_of
from tfcl.data.scenario import (
    CLASS,
    DOMAIN,
    ONLINE,
    SCENARIOS,
    TASK,
    announced_to,
)
from tfcl.data.scenarios.class_incremental_stream import (
    class_incremental_stream,
)
from tfcl.data.scenarios.online_stream import online_stream
from tfcl.data.task import TaskStream
from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    from collections.abc import Callable

    from tfcl.data.task import Task
    from tfcl.types import Folder


def stream_for(
    refuse: Callable[[str, str], None],
    stream: Callable[..., TaskStream],
    scenario: str | None,
    data_dir: Folder | None,
) -> TaskStream:
    """The stream of a run, unless its learner is not made for the scenario.

    Args:
        refuse: Function of a scenario and of what a message calls the stream;
            raises an error to refuse it, before data are prepared.
        stream: Stream factory, a function of `data_dir`.
        scenario: As of `in_scenario`; None leaves the stream as it is.
        data_dir: Folder of prepared TFDS data sets.

    Raises:
        UserError: As of `in_scenario`.
    """
    if scenario is not None:
        refuse(scenario, "Experiment.scenario")
        return in_scenario(scenario, stream, data_dir)
    with announced_to(refuse):
        found = stream(data_dir=data_dir)
    refuse(found.scenario, found.name)
    return found


@checked
def in_scenario(
    scenario: Annotated[str, one_of(*SCENARIOS)],
    stream: Callable[..., TaskStream],
    data_dir: Folder | None = None,
) -> TaskStream:
    """The tasks of a stream, seen as a scenario says.

    - "task" tells the task of each test image of a stream of domains.
    - "domain" takes class k of every task for one and the same class (of Split
      MNIST: whether a digit is the first or the second of its pair).
    - "class" makes the classes of each task classes of their own, one behind
      the other: `class_incremental_stream`.
    - "online" joins the tasks into one, seen once, by `online_stream` with
      what is bound for it.

    Args:
        scenario: One of the four. A stream that is so already stays as it is.
        stream: Stream factory, a function of `data_dir`.
        data_dir: Folder of prepared TFDS data sets.

    Raises:
        UserError: If the stream cannot be seen so.
    """
    with announced_to(None):
        own = stream(data_dir=data_dir)
    if own.scenario == scenario:
        return own
    if own.scenario in _IS:
        raise UserError(
            f"Stream '{own.name}' is {_IS[own.scenario]}, and cannot be made "
            f"into tasks again. Received: scenario={scenario!r}. Give the "
            "stream within it as it is, such as Experiment.stream = "
            "@class_split_stream."
        )
    makers = {TASK: _of_tasks, DOMAIN: _of_domains}
    if scenario in makers:
        return makers[scenario](own)
    made = class_incremental_stream if scenario == CLASS else online_stream
    return made(stream=lambda data_dir: own)


_IS = {
    CLASS: "class-incremental: labels count the classes of all tasks",
    ONLINE: "seen once, without borders between tasks",
}


def _of_tasks(stream):
    return _as(TASK, stream, stream.tasks)


def _of_domains(stream):
    counts = [task.num_classes for task in stream]
    if len(set(counts)) > 1:
        raise UserError(
            "Argument `scenario`='domain' takes class k of every task for the "
            "same class, so every task needs the same number of classes. "
            f"Received: stream '{stream.name}' with {counts}. Give tasks of "
            "equal sizes, or scenario='class'."
        )
    if len({task.class_names for task in stream}) == 1:
        return _as(DOMAIN, stream, stream.tasks)
    tasks: list[Task] = []
    for task in stream:
        classes = tuple(f"class_{k}" for k in range(counts[0]))
        tasks.append(
            dataclasses.replace(task, class_names=classes, earlier=tuple(tasks))
        )
    return _as(DOMAIN, stream, tasks)


def _as(scenario, stream, tasks):
    return TaskStream(
        f"{stream.name}_{scenario}",
        tasks,
        stream.batch_size,
        [visit.task.index for visit in stream.visits],
        scenario,
    )
