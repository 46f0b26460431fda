"""Class-incremental learning: one head per task, answers over all classes."""

from __future__ import annotations

import typing
from typing import Annotated

import gin
import tensorflow as tf

from tfcl.arguments import checked, one_of, require
from tfcl.data.scenario import CLASS
from tfcl.data.scenarios.class_incremental_stream import (
    first_classes as classes_of,
)
from tfcl.data.streams.increments import task_sizes
from tfcl.errors import UserError
from tfcl.layers.memory.seen_classes import SeenClasses
from tfcl.methods.base import (
    Update,
    cross_entropy,
    mean_accuracy,
    steps_per_epoch,
)
from tfcl.methods.class_incremental.class_statistics import ClassStatistics
from tfcl.methods.class_incremental.classifier_alignment import AlignmentOrder
from tfcl.methods.class_incremental.growing_heads import GrowingHeads
from tfcl.methods.class_incremental.head_training import HeadTraining
from tfcl.methods.class_incremental.task_heads import (
    ALL,
    FIRST,
    KINDS,
    MEMORY,
    NONE,
    TaskHeads,
)
from tfcl.methods.class_incremental.virtual_batch import VirtualBatch
from tfcl.methods.work import Accumulate
from tfcl.models.backbones.given_model import backbone_function
from tfcl.models.layer_names import with_own_names
from tfcl.models.online.online_network import OnlineNetwork
from tfcl.models.variables import Owned, statistic

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tfcl.data.task import StreamSpec, Task, TaskStream
    from tfcl.methods.base import Batch
    from tfcl.methods.class_incremental.classifier_alignment import (
        ClassifierAlignment,
    )
    from tfcl.methods.work import Phases
    from tfcl.types import Tensor, Values


_STATISTICS_BATCH = 64  # Images per step, at least.


@gin.configurable
class ClassIncremental(GrowingHeads):
    """Heads of tasks on one backbone, aligned with each other.

    Stage 1 trains the new task's head on its classes alone, and with it, at a
    rate of its own, the backbone. Then the features of each new class are
    summed up by mean and covariance, and from the second task on stage 2
    trains all heads on features drawn from these (classifier alignment). It
    counts for the evaluation after its task; the next task starts from the
    heads before it.

    Args:
        backbone: Function from `image_shape` to a `keras.Model` that ends in
            features; or a functional or sequential `keras.Model`, of which
            copies are made, see `GivenModel`.
        training: `HeadTraining`, stage 1; None makes one with its own
            defaults.
        classes_per_task: Classes of each task; of the last one what is left.
            None for as many in every task as the stream has room for.
        first_classes: Classes of the first task; None for as many as the
            others have.
        head: "memory" (`MemoryDense`, one key set per task) or "linear"
            (the SLCA baseline).
        memory: `{option: value}` of a `MemoryDense`
            (`tfcl.layers.memory.memory_options`).
        old_scrambles: Old heads that go on to give weak units to examples of
            a new task: "none"; as published where the backbone is trained,
            "first" (with --freeze_keys_ca) or "all".
        alignment: `ClassifierAlignment`, stage 2; None goes without.
        keys_in_alignment: Keys and counters move in stage 2, too, as without
            --freeze_keys_ca: of the newest head as in stage 1, of old ones by
            scrambling alone.

    Raises:
        ValueError: If an argument is out of range, or the stream is not one
            of `class_incremental_stream` in tasks of these sizes.
        UserError: If a task comes again.

    Note:
        Statistics take 4 bytes per class and pair of features, and 8 more
        per class of one task; so does each checkpoint. They stay those of
        their task's time. Old heads are frozen in stage 1, with their keys.
    """

    scenarios = frozenset((CLASS,))
    _network: OnlineNetwork

    @checked
    def __init__(
        self,
        backbone: Callable[..., Any] | None = None,
        training: HeadTraining | None = None,
        classes_per_task: int | None = None,
        first_classes: int | None = None,
        head: Annotated[str, one_of(*KINDS)] = MEMORY,
        memory: dict | None = None,
        old_scrambles: Annotated[str, one_of(NONE, FIRST, ALL)] = NONE,
        alignment: ClassifierAlignment | None = None,
        keys_in_alignment: bool = False,
    ):
        super().__init__()
        require(
            old_scrambles == NONE or head == MEMORY,
            "old_scrambles",
            f"must be '{NONE}' for linear heads",
            old_scrambles,
        )
        require(
            not keys_in_alignment or (head == MEMORY and alignment is not None),
            "keys_in_alignment",
            "needs memory heads and an `alignment`",
            keys_in_alignment,
        )
        self.make_backbone = backbone_function(backbone, "ClassIncremental")
        self.training = HeadTraining() if training is None else training
        self.classes_per_task = classes_per_task
        self.first_classes = first_classes
        self.head_kind = head
        self.memory = dict(memory or {})
        self.old_scrambles = old_scrambles
        self.alignment = alignment
        self.keys_in_alignment = keys_in_alignment

    # Set-up

    def setup(self, spec: StreamSpec, seed: int) -> None:
        self.spec, self.seed = spec, seed
        classes = spec.max_classes
        sizes = task_sizes(
            classes, self.classes_per_task, self.first_classes, spec.num_tasks
        )
        require(
            len(sizes) == spec.num_tasks,
            "classes_per_task",
            f"(with `first_classes`) must cut the {classes} classes of a "
            f"class_incremental_stream into its {spec.num_tasks} tasks, not "
            f"into {len(sizes)}",
            self.classes_per_task,
        )
        self.heads = TaskHeads(self.head_kind, sizes, self.memory)
        backbone = self._build_network(spec)
        self.statistics = ClassStatistics(
            classes, backbone.output_shape[-1], max(sizes)
        )
        self._unaligned = [
            statistic(v.numpy(), "unaligned", v.dtype)
            for v in (owned.variable for owned in self._heads)
        ]
        self.current = statistic(-1, "current", "int32")
        self.shared = [*self.shared, Owned.of("current", self.current)]
        self.state = [
            *self.statistics.variables,
            *self._virtual.state,
            *self._unaligned,
        ]
        if self.alignment is not None:
            self._order = AlignmentOrder(classes, self.alignment.size)
            self.state += self._order.state

    def _build_network(self, spec):
        """Network, optimizers and what gathers their gradients."""
        training = self.training
        shape = spec.image_shape
        backbone = with_own_names(self.make_backbone, image_shape=shape)
        self._network = OnlineNetwork(
            [(backbone, self.heads.layer)],
            trains_backbone=training.trains_backbone,
            pretrained=training.pretrained,
            serve=self._served,
        )
        self.shared = self._network.owned
        self.redraw(self.shared, "shared")
        self._heads = [o for o in self.shared if o.name.startswith("heads/")]
        trained = self._network.trained
        own = {id(o.variable) for o in self._heads}
        parts = {"main": [], "backbone": []}
        for place, owned in enumerate(trained):
            part = "main" if id(owned.variable) in own else "backbone"
            parts[part].append(place)
        require(
            bool(parts["backbone"]) == training.trains_backbone,
            "backbone_rate",
            "must be 0 for a backbone without weights to train",
            training.backbone_rate,
        )
        # Places of the variables of each optimizer among the trained.
        self._parts = {name: at for name, at in parts.items() if at}
        for name, places in self._parts.items():
            chosen = [trained[k] for k in places]
            self.build_optimizer(name, training.make_optimizer(), chosen)
        self._virtual = VirtualBatch(
            trained, training.batches_at_once(spec.batch_size)
        )
        return backbone

    # Tasks

    def check_stream(self, stream: TaskStream) -> None:
        for task in stream:
            self._batch_size(task)
            classes_of(task)

    def begin_task(self, task: Task) -> None:
        found, wanted = classes_of(task), self.heads.classes_of(task.index)
        if found != wanted:
            raise ValueError(
                "Arguments `classes_per_task` and `first_classes` must be as "
                f"in the stream. Received: task '{task.name}' has {found[1]} "
                f"classes from {found[0]} on, not {wanted[1]} from {wanted[0]}"
            )
        if task.index:
            for owned, kept in zip(self._heads, self._unaligned):
                owned.variable.assign(kept)
        self.current.assign(task.index)
        size = self._batch_size(task)
        self._virtual.begin_task(steps_per_epoch(len(task.train), size, False))
        self.reset_optimizers()

    def _batch_size(self, task):
        size = task.batch_size or self.spec.batch_size
        require(
            size == self.spec.batch_size or self.training.virtual_batch is None,
            "virtual_batch",
            "must be None where a task has a batch size of its own, or "
            "fewer training examples than a batch",
            self.training.virtual_batch,
        )
        return size

    def resume_task(self, task: Task, values: Values) -> None:
        raise UserError(
            f"ClassIncremental learns every task once, but '{task.name}' comes "
            "again. Give a stream without repeats."
        )

    def phases(self, task: Task) -> Phases:
        yield self.training.phase(self.train_step)
        yield Accumulate(
            "statistics",
            self.class_sums,
            self.statistics.sums,
            batch_size=max(_STATISTICS_BATCH, self.spec.batch_size),
        )
        first, count = self.heads.classes_of(task.index)
        self.statistics.note(first)
        for owned, kept in zip(self._heads, self._unaligned):
            kept.assign(owned.variable)
        if self.alignment is not None and task.index:
            self.reset_optimizers()
            yield self.alignment.phase(
                self.alignment_step, task.train, first + count
            )

    # Steps

    def _now(self):
        """Number of the task in hand, a tensor."""
        return tf.convert_to_tensor(self.current)

    def class_sums(self, batch: Batch) -> list[Tensor]:
        """What a batch adds to the sums of its classes' features."""
        first = self.heads.first(self._now())
        features = self._features(batch.images)
        return self.statistics.step(features, batch.labels, first)

    def _features(self, images):
        (backbone, _), *_ = self._network.members
        return backbone(images, training=False)

    def train_step(self, batch: Batch) -> Update:
        """Stage 1: the new head on its own classes, and the backbone."""
        self.check_replicas(batch)
        network, seen = self._network, []

        def objective(logits):
            seen.append(self.heads.own(logits, self._now()))
            return tf.reduce_mean(cross_entropy(batch.labels, seen[0]))

        loss, _, gradients, after = network.learn(
            network.values(),
            self.training.augmented(batch),
            objective,
            batch.seed,
        )
        gradients, due, keep = self._virtual.gathered(gradients, batch.step)

        return Update(
            loss=loss,
            metrics={"accuracy": mean_accuracy(batch, seen[0])},
            gradients=self._parted(gradients, self._parts),
            before_apply=lambda: self._update_itself(after, self.old_scrambles),
            transform_gradients=self._decay(lambda task: task == self._now()),
            apply_if=due,
            after_apply=keep,
        )

    def _parted(self, gradients, names):
        """`Update.gradients` of some optimizers."""
        variables = self._network.variables
        return [
            (
                name,
                [gradients[k] for k in self._parts[name]],
                [variables[k] for k in self._parts[name]],
            )
            for name in names
        ]

    def _update_itself(self, after, old_scrambles):
        """Assigns what the network's own update may change."""
        network = self._network
        before = network.values()
        values = self.heads.updated_values(
            before, after, network.memory_places, self._now(), old_scrambles
        )
        network.assign(before, values)

    def _decay(self, tasks):
        """`Update.transform_gradients` of backbone and heads of some tasks."""
        heads = {id(owned.variable.value) for owned in self._heads}

        def decayed(gradients, variables):
            dense = map(self.training.with_decay, gradients, variables)
            return [
                self.heads.trained(g, tasks) if id(v) in heads else g
                for g, v in zip(dense, variables)
            ]

        return decayed

    def alignment_step(self, batch: Batch) -> Update:
        """Stage 2: all heads on features drawn from what was noted."""
        self.check_replicas(batch)
        current = self._now()
        labels, keep = self._order.labels(
            self.heads.seen(current), batch.step, batch.seed
        )
        seed = tf.random.experimental.stateless_fold_in(batch.seed, 1)
        with tf.GradientTape() as tape:
            assert self.alignment is not None, "`phases` asks for its step"
            loss, accuracy, reading = self.alignment.loss(
                self.heads, self.statistics, labels, current, seed
            )
        gradients = tape.gradient(loss, self._network.variables)

        def own_update():
            if self.keys_in_alignment:
                places = self._network.memory_places
                after = self.heads.after(reading, places, seed)
                self._update_itself(after, ALL)

        return Update(
            loss=loss,
            metrics={"accuracy": accuracy},
            gradients=self._parted(gradients, ["main"]),
            before_apply=own_update,
            transform_gradients=self._decay(lambda task: task <= current),
            after_apply=keep,
        )

    # Serving

    def predict(self, images: Tensor) -> Tensor:
        return self.heads.known(self._network(images), self._now())

    def _served(self, head):
        """The head of an export, which knows no class of later tasks."""
        seen = self.heads.tasks <= self.current.numpy()
        return head if seen.all() else SeenClasses(head, seen)

    def network(self) -> OnlineNetwork:
        return self._network

    def bank_notes(self) -> dict[str, Any]:
        heads = self._network.memory_heads
        scrambles = [
            int(h.scrambles.numpy().sum())
            for h in heads
            if h.scrambling.scramble
        ]
        return {"scrambles": sum(scrambles)} if scrambles else {}
