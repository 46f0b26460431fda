"""Methods with one backbone for all tasks, and heads by choice."""

from __future__ import annotations

import typing
from typing import Annotated

from tfcl.arguments import checked, one_of, require
from tfcl.data.scenario import CLASS, DOMAIN, TASK
from tfcl.methods.base import trainable
from tfcl.methods.network_method import NetworkMethod
from tfcl.models.variables import statistic

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import keras

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.task_training import TaskTraining
    from tfcl.models.network import TaskNetwork
    from tfcl.models.variables import Owned
    from tfcl.types import Values


PER_TASK, GROWING, ONE = HEADS = ("per_task", "growing", "one")


class SharedBackboneMethod(NetworkMethod):
    """One backbone for all tasks; a head per task or one for all.

    Args:
        training: `TaskTraining`.
        heads: "per_task"; "growing", one head whose softmax is over the
            classes seen so far; or "one" over all classes of the stream from
            the first task on. None chooses by the stream: per task where test
            images come with their task, growing where tasks bring classes to
            one set of answers, one where all tasks have the same classes.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Raises:
        ValueError: If `heads` is none of these. At set-up, if tasks with one
            head differ in their number of classes, or a head should grow
            whose stream does not number its classes through.
    """

    scenarios = frozenset((TASK, DOMAIN, CLASS))
    of_the_task = "the head"

    heads_of_known_tasks = PER_TASK
    """`heads` None where test images come with their task."""

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        heads: Annotated[str, one_of(*HEADS)] | None = None,
        **options: Any,
    ):
        super().__init__(training, **options)
        self._asked_heads = heads
        if heads == PER_TASK:
            self.scenarios = frozenset((TASK,))
            self.of_the_task = f"the head (heads='{PER_TASK}')"
        # Classes seen so far, of a growing head.
        self._seen: keras.Variable | None = None

    @property
    def heads(self) -> str:
        """Which of the three it is; of the stream, once that is known."""
        if self._asked_heads is not None:
            return self._asked_heads
        scenario = TASK if self.spec is None else self.spec.scenario
        chosen = {DOMAIN: ONE, CLASS: GROWING}
        return chosen.get(scenario, self.heads_of_known_tasks)

    @property
    def needs_task(self) -> bool:
        return self.heads == PER_TASK

    def setup(self, spec: StreamSpec, seed: int) -> None:
        self.spec = spec
        require(
            self.heads != GROWING or spec.scenario == CLASS,
            "heads",
            f"must not be '{GROWING}' for the scenario '{spec.scenario}', in "
            "which tasks do not number their classes one behind the other; "
            "learn in the scenario 'class', or leave it to the stream",
            self.heads,
        )
        if not self.needs_task and len(set(spec.class_counts)) > 1:
            raise ValueError(
                f"{type(self).__name__} has one head for all tasks, so every "
                "task needs the same number of classes. Received: class "
                f"counts {spec.class_counts}. With heads='per_task' it has a "
                "head per task on a shared backbone."
            )
        super().setup(spec, seed)
        if self.heads == GROWING:
            self._seen = statistic(0, "classes_seen", "int32")
            self.state = [*self.state, self._seen]

    def divide(self, network: TaskNetwork) -> None:
        if self.needs_task:
            self.shared = network.backbone_variables
            self.slot = network.head_variables
            return
        self.share_head(network)

    def share_head(self, network: TaskNetwork) -> None:
        """`divide` where a task owns nothing but its columns."""
        *weights, columns = network.head_variables
        self.shared = [*network.backbone_variables, *weights]
        self.slot = [columns]

    @property
    def head_weights(self) -> list[Owned]:
        """What is trained of the head, whoever owns it."""
        return trainable(self._network.head_variables)

    @property
    def widening(self) -> list[keras.Variable]:
        # A class-incremental stream may go on with more classes.
        if self.needs_task:
            return []
        return [self.head.kernels[-1], self.head.biases[-1]]

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        if self._seen is not None:
            count = self.classes_of([*task.earlier, task])
            self._seen.assign(count)
            self.head.use_columns(range(count))

    def classes_of(self, tasks: Sequence[Task]) -> int:
        """How many columns of the one head so many first tasks have."""
        if self.spec.scenario != CLASS:
            return self.spec.max_classes if tasks else 0
        return sum(task.num_own_classes for task in tasks)

    def activate(self, values: Values, task_index: int) -> None:
        super().activate(values, task_index)
        if not self.needs_task:  # Also with classes of later tasks.
            self.head.use_columns(range(self._answered()))

    def answered_classes(self, task_index: int) -> tuple[str, ...]:
        names = super().answered_classes(task_index)
        return names if self.needs_task else names[: self._answered()]

    def _answered(self):
        """How many classes the one head may answer with today."""
        if self._seen is None:
            return self.spec.max_classes
        return int(self._seen.numpy())
