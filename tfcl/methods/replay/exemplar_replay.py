"""Replay of exemplars, beside a copy of the network from before."""

from __future__ import annotations

import abc
import dataclasses
import typing
from typing import Annotated

import numpy as np
import tensorflow as tf

from tfcl import randomness
from tfcl.arguments import PositiveInt, checked, one_of
from tfcl.data.scenario import CLASS
from tfcl.data.split import taken_from
from tfcl.errors import UserError
from tfcl.methods.former_network import FormerNetwork
from tfcl.methods.shared_backbone import SharedBackboneMethod
from tfcl.methods.work import Decision
from tfcl.models.variables import statistic
from tfcl.replay.exemplars import Exemplars, herded

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    import keras

    from tfcl.data.split import Split
    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.work import Phases
    from tfcl.types import Tensor, Values


HERDING, RANDOM = "herding", "random"
_AT_ONCE = 64  # Images whose features are computed together.


class ExemplarReplay(SharedBackboneMethod):
    """A growing head, exemplars of old classes, and the network from before.

    A task is learned on its own data and the exemplars of all earlier classes,
    each once per epoch. A frozen copy of the network from before tells what
    it answered. When the task has ended, exemplars of its classes are chosen.
    Only numbers of exemplars are kept: the data of earlier tasks must be at
    hand.

    Args:
        training: `TaskTraining`.
        capacity: K, exemplars of all classes together.
        selection: "herding" chooses those whose mean feature comes nearest to
            that of their class, "random" draws them.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Raises:
        ValueError: If an argument is out of range, at set-up also if there
            are more classes than exemplars.
        UserError: If a task comes again.
    """

    # An exemplar stands for a class, which one task brings.
    scenarios = frozenset((CLASS,))
    needs_earlier_data = True
    decays_weights = True

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        capacity: PositiveInt = 2000,
        selection: Annotated[str, one_of(HERDING, RANDOM)] = HERDING,
        **options: Any,
    ):
        super().__init__(training, None, **options)
        self.exemplars = Exemplars(capacity)
        self.selection = selection

    # Set-up

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        self.exemplars.build(spec.max_classes)
        self._old = statistic(0, "old_classes", "int32")
        self._before = FormerNetwork(
            self.training.network(
                self.make_backbone(spec), self.make_head(spec)
            )
        )
        self.state = [
            *self.state,
            self.exemplars.numbers,
            *self.task_state,
        ]
        self._features = tf.function(
            lambda images: self.exemplar_features(images),
            input_signature=[
                tf.TensorSpec((None, *spec.image_shape), tf.float32)
            ],
            autograph=False,
        )

    @property
    def task_state(self) -> list[keras.Variable]:
        return [self._old, *self._before.variables]

    @property
    def widening(self) -> list[keras.Variable]:
        return [*super().widening, self.exemplars.numbers]

    # One task after another

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        self._before.remember(self._network)
        self._old.assign(self.classes_of(task.earlier))

    def resume_task(self, task: Task, values: Values) -> None:
        raise UserError(
            f"{self.name} learns every task once, but '{task.name}' comes "
            "again. Give a stream without repeats."
        )

    def phases(self, task: Task) -> Phases:
        kept = yield Decision("exemplars", self.exemplars.kept)
        phase = self.training.phase("train", self.mixed(task, kept["value"]))
        yield dataclasses.replace(phase, validation_logits=self.network_logits)

    def mixed(self, task: Task, kept: Sequence[Sequence[int]]) -> Split:
        """The `Split` of a task's own data and of exemplars.

        Args:
            task: `Task`.
            kept: Numbers of the exemplars of each class.
        """
        splits = [t.train for t in (*task.earlier, task)]
        begins = np.cumsum([0, *map(len, splits)])
        owners = self.owners(task.earlier)
        old = [
            begins[owner] + np.asarray(numbers, np.int64)
            for owner, numbers in zip(owners, kept)
        ]
        own = begins[-2] + np.arange(len(task.train))
        return taken_from(splits, np.concatenate([*old, own]))

    def owners(self, tasks: Sequence[Task]) -> np.ndarray:
        """For each class of the first tasks, the place of its task."""
        ends = [self.classes_of(tasks[: k + 1]) for k in range(len(tasks))]
        return np.searchsorted(ends, np.arange(max([0, *ends])), side="right")

    def network_logits(self, batch: Batch) -> Tensor:
        """Traced: what the output layer says of a `Batch`, `(b, classes)`."""
        features = self._network.backbone(batch.images, training=False)
        return self.head.chosen(self.head.outputs(features))

    def end_task(self, task: Task) -> None:
        old, seen = self.class_counts(task)
        count = self.exemplars.per_class(seen)
        chosen = {}
        for label in range(old, seen):
            rows = np.flatnonzero(task.train.labels == label)
            chosen[label] = rows[self._chosen(task, label, rows, count)]
        self.exemplars.put(chosen, seen)

    def class_counts(self, task: Task) -> tuple[int, int]:
        """Classes before a task, and with it."""
        tasks = [*task.earlier, task]
        return self.classes_of(tasks[:-1]), self.classes_of(tasks)

    def _chosen(self, task, label, rows, count):
        """Places in `rows` of the exemplars of a class."""
        if self.selection == RANDOM:
            draw = randomness.generator(self.seed, "exemplars", label)
            return draw.permutation(len(rows))[:count]
        return herded(self.features_at(task.train, rows), count)

    def exemplar_features(self, images: Tensor) -> Tensor:
        """Traced: what exemplars are chosen by, `(b, units)`."""
        return self.head.hidden(self._network.backbone(images, training=False))

    def features_at(self, split: Split, rows: np.ndarray) -> np.ndarray:
        """`exemplar_features` of some images of a split, `(k, units)`."""
        parts = [
            self._features(split.standardised_at(rows[k : k + _AT_ONCE]))
            for k in range(0, len(rows), _AT_ONCE)
        ]
        return np.concatenate(parts)

    # The loss

    def loss_of(
        self,
        batch: Batch,
        training: bool = True,
        features: Callable[..., Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        images, hidden, mask = self.forward(batch, training, features)
        outputs = self.head.outputs(hidden, mask)
        before = self._before.outputs(images)
        losses = self.losses(batch.labels, outputs, before)
        loss = tf.reduce_sum(losses) / tf.cast(batch.size, tf.float32)
        return loss, self.head.chosen(outputs)

    @abc.abstractmethod
    def losses(self, labels: Tensor, outputs: Tensor, before: Tensor) -> Tensor:
        """Traced: the loss of each example, `(b,)`.

        Args:
            labels: int32 `(b,)`.
            outputs: All columns of the output layer, `(b, num_outputs)`.
            before: What the network from before says, `(b, num_outputs)`.
        """

    def old_and_seen(self) -> tuple[Tensor, Tensor]:
        """Traced: which columns are old classes, and which old or new ones.

        Returns:
            Two booleans `(num_outputs,)`.
        """
        columns = tf.range(self.head.num_outputs)
        last = tf.reduce_max(tf.convert_to_tensor(self.head.columns))
        return columns < tf.convert_to_tensor(self._old), columns <= last
