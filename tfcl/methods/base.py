"""The contract between a method and the engine."""

from __future__ import annotations

import abc
import typing

import numpy as np
import tensorflow as tf

from tfcl import randomness
from tfcl.data.scenario import CLASS, ONLINE, TASK
from tfcl.layers.fast.packed_draws import packed_draws
from tfcl.methods.scenario_fit import refuse_unfit
from tfcl.models.variables import redraw, restore, stored

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Any

    import keras

    from tfcl.data.task import StreamSpec, Task, TaskStream
    from tfcl.methods.work import Phases
    from tfcl.models.network import TaskNetwork
    from tfcl.models.online.online_network import OnlineNetwork
    from tfcl.models.variables import Owned
    from tfcl.types import Shape, Tensor, Values


class Batch(typing.NamedTuple):
    """One replica's part of a batch, inside a traced step.

    Attributes:
        images: Standardised images, float32 `(b, height, width, channels)`.
        labels: Local labels, int32 `(b,)`.
        tasks: Group of each example in its split (joint training: the task),
            int32 `(b,)`.
        black: What a black pixel is in each image, float32 `(b, channels)`.
        positions: Place of each example in the global batch, int32 `(b,)`.
        size: Examples in the global batch, int32 scalar. Divide sums by it.
        step: Number of the step in its epoch, int32 scalar.
        seed: int32 pair, different for every step of the run.
        replicas: Number of replicas, Python integer.
        sum_over_replicas: Function from a tensor to its sum over replicas.
        white: What a white pixel is in each image, float32 `(b, channels)`.
            None means 1.
    """

    images: tf.Tensor
    labels: tf.Tensor
    tasks: tf.Tensor
    black: tf.Tensor
    positions: tf.Tensor
    size: tf.Tensor
    step: tf.Tensor
    seed: tf.Tensor
    replicas: int
    sum_over_replicas: typing.Callable
    white: tf.Tensor | None = None

    def dropout_mask(
        self, rate: float, features: Tensor, copies: int = 1
    ) -> Tensor | None:
        """Scaled dropout mask for `copies` stacked runs of the batch.

        Entries are 0 or 1 / (1 - rate), independent, and the same for an
        example whatever the number of replicas.

        Returns:
            float32 `(copies * b, features)`, or None for rate 0.
        """
        if rate == 0.0:
            return None
        keep = 1.0 - rate
        everyone = self.replicas > 1
        rows = self.size if everyone else tf.shape(self.images)[0]
        kept = _kept((copies, rows, features), keep, self.seed)
        if everyone:
            kept = tf.gather(kept, self.positions, axis=1)
        mask = tf.cast(kept, tf.float32) * (1.0 / keep)
        return tf.reshape(mask, [-1, features])


def _kept(shape, keep, seed):
    """Booleans of a shape of three numbers, true with probability `keep`."""
    if not (256 * keep).is_integer():
        return tf.random.stateless_uniform(tf.stack(shape), seed) < keep
    # A byte per entry is exact for such rates, and four times as fast.
    count = shape[0] * shape[1] * shape[2]
    draws = packed_draws(count, tf.uint8, seed)
    return tf.reshape(draws < int(256 * keep), tf.stack(shape))


class Update(typing.NamedTuple):
    """What a step wants to change; the engine applies it if it is finite.

    Attributes:
        loss: This replica's part of the mean loss, scalar.
        metrics: `{name: tensor}`, this replica's part of each mean, in the
            shapes of `Method.metric_shapes`; without the loss.
        gradients: `[(optimizer name, gradients, variables), ...]`; a gradient
            may be a `tf.IndexedSlices` of rows.
        before_apply: Optional function, runs first: assigns variables that a
            rule of their own and an optimizer change in the same step.
        transform_gradients: Optional function from gradients and their
            variables to the gradients that are applied; runs second, so that
            a weight decay is that of the values which the optimizer changes.
        apply_if: Optional boolean scalar: whether the gradients are
            transformed and applied in this step; the two other functions run
            in any case. One replica only.
        after_apply: Optional function, runs last: assigns the method's own
            variables.
    """

    loss: tf.Tensor
    metrics: dict
    gradients: list
    before_apply: typing.Callable | None = None
    transform_gradients: typing.Callable | None = None
    apply_if: tf.Tensor | None = None
    after_apply: typing.Callable | None = None


class Method(abc.ABC):
    """A few layers plus a rule: how one task after another is learned.

    `docs/architecture.md` tells the order of calls. A subclass builds its
    variables in `setup` and lists them in three places:

    - `shared`: `Owned` variables that serve all tasks;
    - `slot`: `Owned` variables of the task in hand; re-drawn by
      `begin_task`, banked by `end_task`, assigned again by `activate`;
    - `state`: further `keras.Variable`s that a resumed run needs.

    and its optimizers in `optimizers`, built inside `setup`. What only some
    methods can do (grow, bundle tasks, embed images, draw maps) they say by the
    protocols of `tfcl.methods.protocols`.

    Two things of the run reach a method from outside. What finished tasks
    own comes by `recall`. And while the engine calls `setup` or `grow_to`, it
    has the run's copies of the files that a network begins with (pretrained
    weights) at hand: whoever builds a network reads files by
    `tfcl.models.start_files`, which gives the copy if there is one and the
    file itself otherwise.

    Attributes:
        recall: Function from the index of a finished task to its bank values
            (`{name: array}`, of its newest visit), for tasks that start from
            an earlier one. The engine sets it right after `setup`; it is None
            outside of a run.
    """

    metric_shapes: dict[str, Shape] = {"accuracy": ()}
    """Shape of each metric of `train_step` (the loss comes by itself)."""

    scenarios = frozenset((TASK,))
    """The scenarios that the method is made for, see `tfcl.data.scenario`."""

    of_the_task = "what it keeps"
    """What of a task answers its test images, for the reader of a refusal."""

    per_task: frozenset[str] = frozenset()
    """Arguments that may differ from task to task, see `TrainingOptions`."""

    needs_earlier_data = False
    """Whether a new task is learned with the data of earlier ones."""

    # Spec and recall are None until the engine has set the method up.
    spec: StreamSpec
    recall: Callable[[int], Values]
    seed: int
    shared: list[Owned]
    slot: list[Owned]
    state: list[keras.Variable]
    optimizers: dict[str, keras.Optimizer]

    def __init__(self):
        self.spec = None
        self.seed = 0
        self.shared = []
        self.slot = []
        self.state = []
        self.optimizers = {}
        self.recall = None
        self._optimizer_start = {}

    @abc.abstractmethod
    def setup(self, spec: StreamSpec, seed: int) -> None:
        """Builds all variables. Runs once, inside `strategy.scope()`.

        Args:
            spec: `StreamSpec`.
            seed: Integer from which all start values are drawn.
        """

    @property
    def needs_task(self) -> bool:
        """Whether a test image is answered by what its own task keeps: a head,
        a mask, a column. False promises the same logits whichever task is
        active, so that a stream may withhold the task."""
        return CLASS not in self.scenarios

    def why_not(self, scenario: str) -> str | None:
        """Why the method is not made for a scenario; None if it is.

        Args:
            scenario: One of `tfcl.data.scenario`.
        """
        if scenario in self.scenarios:
            return None
        if scenario == ONLINE:
            return "passes over the examples of a task more than once"
        if scenario == TASK:
            return "learns one set of answers for all tasks"
        if CLASS in self.scenarios:
            return "needs classes of its own for each task"
        return (
            f"answers a test image by {self.of_the_task} of the image's own "
            "task, which is not told"
        )

    def refuse_scenario(self, scenario: str, stream: str) -> None:
        """Raises a `UserError` for a stream that the method is not made for:
        its scenario, and what the message calls it. Runs before it prepares
        data."""
        refuse_unfit(self, scenario, stream)

    def check_stream(self, stream: TaskStream) -> None:
        """Refuses, before the first step, tasks that cannot be learned as
        asked: what only their sizes tell, not the `StreamSpec`.

        Raises:
            UserError: With the task, the rule and the way out.
        """

    @abc.abstractmethod
    def begin_task(self, task: Task) -> None:
        """Prepares slot and optimizers for a new task."""

    def resume_task(self, task: Task, values: Values) -> None:
        """Prepares slot and optimizers for a task that is seen again.

        Args:
            task: `Task`.
            values: Its bank values.
        """
        self.activate(values, task.index)
        self.reset_optimizers()

    @abc.abstractmethod
    def phases(self, task: Task) -> Phases:
        """Generator: yields a phase, receives its result."""

    @abc.abstractmethod
    def train_step(self, batch: Batch) -> Update:
        """Traced: `Batch` to `Update`. Creates no variables."""

    def end_task(self, task: Task) -> None:
        """Consolidates: chooses, rolls back, prunes."""

    @abc.abstractmethod
    def predict(self, images: Tensor) -> Tensor:
        """Traced: standardised images to logits `(b, max_classes)`."""

    @abc.abstractmethod
    def network(self) -> TaskNetwork | OnlineNetwork:
        """The network that serves the active task."""

    @property
    def name(self) -> str:
        """What reports call the method."""
        return type(self).__name__

    @property
    def task_state(self) -> list[keras.Variable]:
        """Those of `state` that every task sets before it reads them. A run
        that goes on with a further task does without them: they may be as
        wide as the widest task."""
        return []

    @property
    def widening(self) -> list[keras.Variable]:
        """Variables, shared or of `state`, that have entries for every class
        or task of the stream. Where a longer stream has more, the stored ones
        fill the leading block and the rest keeps its start value."""
        return []

    def begin_evaluation(self) -> None:
        """Called before the running task is validated."""

    @property
    def random_state(self) -> list[keras.Variable]:
        """Those of `state` that hold the seeds of the network's own random
        layers, from which replicas draw apart."""
        return []

    # What the bank keeps of a task.

    def bank_values(self) -> Values:
        """`{name: array}` of the slot, as small as the task allows."""
        return stored(self.slot)

    def bank_notes(self) -> dict[str, Any]:
        """JSON-ready facts of the task, for results and reports; among them
        `validation_accuracy` if it is not the last phase's."""
        return {}

    def left_out(self, values: Values) -> Collection[str]:
        """Names of slot variables that `bank_values` has left out.

        They become zeros when the task is activated; every other name that
        is missing in the bank is an error.

        Args:
            values: Bank values of the task.
        """
        del values
        return ()

    def activate(self, values: Values, task_index: int) -> None:
        """Puts a finished task's bank values into the slot."""
        del task_index
        restore(self.slot, values, self.left_out(values))

    def answered_classes(self, task_index: int) -> tuple[str, ...]:
        """Names of the classes that a task's logits have columns for today."""
        return tuple(self.spec.class_names[task_index])

    def read_variables(self) -> list[Owned]:
        """The shared variables on which the active task's logits depend."""
        return self.shared

    def diagnostics(self) -> dict[str, tuple[Any, Any]]:
        """`{name: (array, labels)}` after an epoch, for the history."""
        return {}

    def metric_labels(self) -> dict[str, Any]:
        """`{metric name: labels}` of metrics that are vectors."""
        return {}

    # Helpers for subclasses.

    def build_optimizer(
        self, name: str, optimizer: keras.Optimizer, owned: Sequence[Owned]
    ) -> None:
        """Builds an optimizer on `Owned` or variables and lists it."""
        optimizer.build([getattr(o, "variable", o) for o in owned])
        self.optimizers[name] = optimizer
        # Nearly all are zeros, as large as the weights: not worth a copy.
        self._optimizer_start[name] = [
            value if np.any(value) else None
            for value in (v.numpy() for v in optimizer.variables)
        ]

    def reset_optimizers(self) -> None:
        """Gives every optimizer the state it was built with."""
        for name, optimizer in self.optimizers.items():
            start = self._optimizer_start[name]
            for variable, value in zip(optimizer.variables, start):
                if value is None:
                    value = tf.zeros(variable.shape, variable.dtype)
                variable.assign(value)

    def redraw(self, owned: Sequence[Owned], *key) -> None:
        """Draws start values; they depend on the seed, `key` and names."""
        redraw(owned, int(randomness.seed_words(1, self.seed, *key)[0]))


def trainable(owned: Sequence[Owned]) -> list[Owned]:
    """Those of a list of `Owned` that are trained."""
    return [item for item in owned if item.variable.trainable]


def cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    """Softmax cross-entropy per example, from integer labels."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def mean_accuracy(batch: Batch, logits: Tensor) -> Tensor:
    """This replica's part of the batch's accuracy."""
    right = tf.argmax(logits, axis=-1, output_type=tf.int32) == batch.labels
    return tf.reduce_sum(tf.cast(right, tf.float32)) / tf.cast(
        batch.size, tf.float32
    )


def values_of(owned: Sequence[Owned]) -> list[Tensor]:
    """The tf.Variables of a list of `Owned`, for a gradient tape."""
    return [item.variable.value for item in owned]


def steps_per_epoch(
    examples: int, batch_size: int, drop_remainder: bool
) -> int:
    """Batches that so many examples make."""
    if drop_remainder:
        return examples // batch_size
    return -(-examples // batch_size)
